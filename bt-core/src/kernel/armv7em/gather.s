@ Whole rows of bytes into panels: four bytes of a row become two words of two i16 each, 16 bytes apart.
@
@ r0 first word of the panels of four rows, plus the row; r1 bytes; r2 struct Rows of mod.rs.

    @ struct Rows: rows; fours and bytes after them in each; rows left in the panels of four; bytes from
    @ the last row of these to the first of the next.

    @ Word r6: bytes 0 and 2 to r6, 1 and 3 to r7.
    .macro widen_bytes
    and r7, r9, r6, lsr #1
    and r6, r9, r6, lsl #7
    .endm

    .macro widen_centred
    eor r6, r6, r8
    and r7, r9, r6
    and r6, r9, r6, lsl #8
    .endm

    .macro gather name, mask, flip
    .section .text.bt_core_gather_\name, "ax", %progbits
    .p2align 2
    .global bt_core_gather_\name
    .type bt_core_gather_\name, %function
    .thumb_func
bt_core_gather_\name:
    push {r4-r11, lr}
    ldm r2, {r2, r3, r10, r11, r12}
    ldr r9, =\mask
    ldr r8, =\flip
.Lbt_\name\()_row:
    mov r4, r0
    movs r5, r3
    beq .Lbt_\name\()_tail
    lsrs r5, r5, #1
    bcc .Lbt_\name\()_even
    ldr r6, [r1], #4
    widen_\name
    str r7, [r4, #16]
    str r6, [r4], #32
    beq .Lbt_\name\()_tail
.Lbt_\name\()_even:
    ldr r6, [r1], #4
    widen_\name
    str r7, [r4, #16]
    str r6, [r4], #32
    ldr r6, [r1], #4
    widen_\name
    str r7, [r4, #16]
    str r6, [r4], #32
    subs r5, r5, #1
    bne .Lbt_\name\()_even
.Lbt_\name\()_tail:
    cmp r10, #0
    beq .Lbt_\name\()_next
    @ One to three more: as a pair, and a single one.
    ldrb r6, [r1], #1
    cmp r10, #1
    beq .Lbt_\name\()_single
    ldrb r7, [r1], #1
    orr r6, r6, r7, lsl #16
    widen_\name
    str r6, [r4], #16
    cmp r10, #2
    beq .Lbt_\name\()_next
    ldrb r6, [r1], #1
.Lbt_\name\()_single:
    widen_\name
    strh r6, [r4]
.Lbt_\name\()_next:
    add r0, r0, #4
    subs r11, r11, #1
    itt eq
    addeq r0, r0, r12
    moveq r11, #4
    subs r2, r2, #1
    bne .Lbt_\name\()_row
    pop {r4-r11, pc}
    .ltorg
    .size bt_core_gather_\name, . - bt_core_gather_\name
    .endm

    .syntax unified
    .thumb
    gather bytes, 0x7f807f80, 0
    gather centred, 0xff00ff00, 0x80808080
    .text
