@ Values into panels: whole rows of bytes, and any by a table of places.
@
@ Of rows four bytes of a row become two words of two i16 each, 16 bytes apart.
@
@ r0 first word of the panels of four rows, plus the row; r1 bytes; r2 struct Rows of mod.rs, then the
@ rows left; r3 rounds of eight blocks of four bytes in a row; r12 bytes from the last row of four panels
@ to the first of the next four; lr the block to begin with; r10 the code for what is left after the
@ blocks; r11 rows left in the panels of four.
@
@ Whole panels of four rows are gathered side by side: r1 and r2 bytes of the first and the third, r3 bytes of a row,
@ lr blocks; r0 is stored to.

    .equ ROWS_FOURS, 4
    .equ ROWS_TAIL, 8
    .equ ROWS_IN_GROUP, 12
    .equ ROWS_GROUP_BYTES, 16

    @ Bytes 0 and 2 of a word to \even, 1 and 3 to \odd, which may be the word's register.
    .macro widen_bytes even, odd, word=r6
    and \even, r9, \word, lsl #7
    and \odd, r9, \word, lsr #1
    .endm

    .macro widen_centred even, odd, word=r6
    eor \word, \word, #0x80808080
    and \even, r9, \word, lsl #8
    and \odd, r9, \word
    .endm

    @ Halfword r6: bytes 0 and 1 to r6.
    .macro widen_pair_bytes
    lsl r7, r6, #7
    pkhbt r7, r7, r6, lsl #15
    and r6, r9, r7
    .endm

    .macro widen_pair_centred
    eor r6, r6, #0x80808080
    lsl r7, r6, #8
    pkhbt r7, r7, r6, lsl #16
    and r6, r9, r7
    .endm

    @ Byte r6.
    .macro widen_single_bytes value=r6
    lsl \value, \value, #7
    .endm

    .macro widen_single_centred value=r6
    eor \value, \value, #0x80808080
    lsl \value, \value, #8
    .endm

    @ The next values of four rows to r4-r7, by a load of so many.
    .macro load_four load, bytes
    \load r5, [r1, r3]
    \load r7, [r2, r3]
    \load r4, [r1], #\bytes
    \load r6, [r2], #\bytes
    .endm

    .macro four_rows name
    load_four ldr, 4
    widen_\name r8, r4, r4
    widen_\name r10, r5, r5
    widen_\name r11, r6, r6
    widen_\name r12, r7, r7
    stmia r0!, {r8, r10, r11, r12}
    stmia r0!, {r4-r7}
    .endm

    @ Two rows' pairs in \low and \high to a word each.
    .macro two_pairs name, low, high
    pkhbt \low, \low, \high, lsl #16
    widen_\name r8, r10, \low
    pkhbt \low, r8, r10, lsl #16
    pkhtb \high, r10, r8, asr #16
    .endm

    .macro four_bytes name, block
.Lbt_\name\()_\block:
    ldr r6, [r1], #4
    widen_\name r7, r6
    str r6, [r4, #16]
    str r7, [r4], #32
    .endm

    .macro gather name, mask
    .section .text.bt_core_gather_\name, "ax", %progbits
    .p2align 2
    .global bt_core_gather_\name
    .type bt_core_gather_\name, %function
    .thumb_func
bt_core_gather_\name:
    push {r4-r11, lr}
    ldrd r3, r4, [r2, #ROWS_FOURS]
    add r5, r4, r3, lsl #2
    push {r3, r5}
    ldrd r11, r12, [r2, #ROWS_IN_GROUP]
    ldr r2, [r2]
    ldr r9, =\mask
    adr r5, .Lbt_\name\()_codes
    add r4, r5, r4, lsl #2
    ldr r10, [r4]
    rsb r4, r3, #0
    and r4, r4, #7
    add r4, r5, r4, lsl #2
    ldr lr, [r4, #16]
    @ A row without blocks begins with what comes after them.
    cmp r3, #0
    it eq
    moveq lr, r10
    add r3, r3, #7
    lsr r3, r3, #3
    cmp r11, #4
    bne .Lbt_\name\()_row
.Lbt_\name\()_group_begins:
    cmp r2, #4
    blo .Lbt_\name\()_row
    cmp r3, #0
    beq .Lbt_\name\()_row
    push {r2, r3, r10, r11, r12, lr}
    ldrd lr, r3, [sp, #24]
    add r2, r1, r3, lsl #1
    tst lr, #1
    add lr, lr, #1
    lsr lr, lr, #1
    bne .Lbt_\name\()_half
.Lbt_\name\()_rows:
    four_rows \name
.Lbt_\name\()_half:
    four_rows \name
    subs lr, lr, #1
    bne .Lbt_\name\()_rows
    tst r3, #2
    beq .Lbt_\name\()_no_pairs
    load_four ldrh, 2
    two_pairs \name, r4, r5
    two_pairs \name, r6, r7
    stmia r0!, {r4-r7}
.Lbt_\name\()_no_pairs:
    tst r3, #1
    beq .Lbt_\name\()_no_singles
    load_four ldrb, 1
    .irp value, r4, r5, r6, r7
    widen_single_\name \value
    .endr
    strh r4, [r0], #4
    strh r5, [r0], #4
    strh r6, [r0], #4
    strh r7, [r0], #4
.Lbt_\name\()_no_singles:
    add r1, r2, r3
    pop {r2, r3, r10, r11, r12, lr}
    subs r2, r2, #4
    bne .Lbt_\name\()_group_begins
    b .Lbt_\name\()_done
.Lbt_\name\()_row:
    mov r4, r0
    mov r5, r3
    bx lr
    four_bytes \name, 0
    four_bytes \name, 1
    four_bytes \name, 2
    four_bytes \name, 3
    four_bytes \name, 4
    four_bytes \name, 5
    four_bytes \name, 6
    four_bytes \name, 7
    subs r5, r5, #1
    bne .Lbt_\name\()_0
    bx r10
.Lbt_\name\()_pair:
    ldrh r6, [r1], #2
    widen_pair_\name
    str r6, [r4]
    b .Lbt_\name\()_next
.Lbt_\name\()_three:
    ldrh r6, [r1], #2
    widen_pair_\name
    str r6, [r4], #16
.Lbt_\name\()_single:
    ldrb r6, [r1], #1
    widen_single_\name
    strh r6, [r4]
.Lbt_\name\()_next:
    add r0, r0, #4
    subs r11, r11, #1
    beq .Lbt_\name\()_group
    subs r2, r2, #1
    bne .Lbt_\name\()_row
    b .Lbt_\name\()_done
.Lbt_\name\()_group:
    add r0, r0, r12
    mov r11, #4
    subs r2, r2, #1
    bne .Lbt_\name\()_group_begins
.Lbt_\name\()_done:
    add sp, sp, #8
    pop {r4-r11, pc}
    .p2align 2
.Lbt_\name\()_codes:
    .irp name_of, next, single, pair, three, 0, 1, 2, 3, 4, 5, 6, 7
    .word .Lbt_\name\()_\name_of + 1
    .endr
    .ltorg
    .size bt_core_gather_\name, . - bt_core_gather_\name
    .endm

    @ Values by a table of their places: r0 panels, r1 places, r2 values, r3 how many, at least one. They go by fours,
    @ two of which make a round, then one by one. Places are halves from r0.
    .macro by_places kind, a, b, c, d
    ldrh r6, [r1], #8
    ldrh r7, [r1, #-6]
    strh \a, [r0, r6, lsl #1]
    .ifc \kind,halves
    lsr \b, \a, #16
    .endif
    strh \b, [r0, r7, lsl #1]
    ldrh r6, [r1, #-4]
    ldrh r7, [r1, #-2]
    .ifc \kind,bytes
    lsr \c, \a, #16
    .endif
    strh \c, [r0, r6, lsl #1]
    .ifc \kind,bytes
    lsr \d, \b, #16
    .else
    lsr \d, \c, #16
    .endif
    strh \d, [r0, r7, lsl #1]
    .endm

    .macro four_bytes_placed name
    ldr r6, [r2], #4
    widen_\name r4, r5
    by_places bytes, r4, r5, r4, r5
    .endm

    .macro four_halves_placed
    ldr r4, [r2], #4
    ldr r5, [r2], #4
    by_places halves, r4, r4, r5, r5
    .endm

    .macro one_placed load, step
    \load r6, [r2], #\step
    ldrh r7, [r1], #2
    .endm

    @ An odd four is done by half a round; what is left to lr.
    .macro rounds name, four:vararg
    and lr, r3, #3
    lsrs r3, r3, #2
    beq .Lbt_places_rest_\name
    tst r3, #1
    add r3, r3, #1
    lsr r3, r3, #1
    bne .Lbt_places_half_\name
.Lbt_places_\name:
    \four
.Lbt_places_half_\name:
    \four
    subs r3, r3, #1
    bne .Lbt_places_\name
    cmp lr, #0
    beq .Lbt_places_done_\name
.Lbt_places_rest_\name:
    .endm

    .macro gather_places name, mask
    .section .text.bt_core_places_\name, "ax", %progbits
    .p2align 2
    .global bt_core_places_\name
    .type bt_core_places_\name, %function
    .thumb_func
bt_core_places_\name:
    push {r4-r9, lr}
    ldr r9, =\mask
    rounds \name, four_bytes_placed \name
    one_placed ldrb, 1
    widen_single_\name
    strh r6, [r0, r7, lsl #1]
    subs lr, lr, #1
    bne .Lbt_places_rest_\name
.Lbt_places_done_\name:
    pop {r4-r9, pc}
    .ltorg
    .size bt_core_places_\name, . - bt_core_places_\name
    .endm

    .syntax unified
    .thumb
    gather_places bytes, 0x7f807f80
    gather_places centred, 0xff00ff00

    .section .text.bt_core_places_halves, "ax", %progbits
    .p2align 2
    .global bt_core_places_halves
    .type bt_core_places_halves, %function
    .thumb_func
bt_core_places_halves:
    push {r4-r7, lr}
    rounds halves, four_halves_placed
    one_placed ldrh, 2
    strh r6, [r0, r7, lsl #1]
    subs lr, lr, #1
    bne .Lbt_places_rest_halves
.Lbt_places_done_halves:
    pop {r4-r7, pc}
    .size bt_core_places_halves, . - bt_core_places_halves

    gather bytes, 0x7f807f80
    gather centred, 0xff00ff00

    @ Pairs of rows whose values share words, by a table of places: r0 panels, r1 places, r2 values, r3 how many a row
    @ has; on the stack one past the last value. Of a pair of rows come first the columns up to a group of four words
    @ (code r6), then groups, then what is left (code lr). Where there are more than four groups, lr is the code that
    @ counts rounds of four in r11, and what is left waits at PAIRED_TAIL. The code depends on the word of the first value in its group, which r4 tells by the lowest bits of its
    @ address, and waits on the stack for the next pair of rows. r12 is where words go, r10 the bytes from a group to the
    @ next. As long as pairs of rows begin at the same word of a group, nothing but their first place is looked up.
    .equ PAIRED_END, 20     @ of all values
    .equ PAIRED_FOURS, 24   @ code of the groups
    .equ PAIRED_TAIL, 28    @ code of what is left
    .equ PAIRED_FRAME, 32
    .equ PAIRED_GIVEN, 68   @ the end, behind nine registers

    .macro paired_four name
    ldr r7, [r2, r3]
    ldr r5, [r2], #4
    pkhbt r6, r5, r7, lsl #16
    pkhtb r8, r7, r5, asr #16
    widen_\name r4, r5
    widen_\name r6, r7, r8
    stmia r12, {r4-r7}
    add r12, r12, r10
    .endm

    @ Two columns, one.
    .macro paired_two name
    ldrh r7, [r2, r3]
    ldrh r6, [r2], #2
    pkhbt r6, r6, r7, lsl #16
    widen_\name r4, r5
    .endm

    .macro paired_one name
    ldrb r7, [r2, r3]
    ldrb r6, [r2], #1
    pkhbt r6, r6, r7, lsl #16
    widen_\name r4, r5
    .endm

    @ The group behind the first columns.
    .macro headed columns
    ldrh r12, [r1, #2 * \columns]
    add r12, r0, r12, lsl #1
    ldr pc, [sp, #PAIRED_FOURS]
    .endm

    .macro gather_pairs name, mask
    .section .text.bt_core_pairs_\name, "ax", %progbits
    .p2align 2
    .global bt_core_pairs_\name
    .type bt_core_pairs_\name, %function
    .thumb_func
bt_core_pairs_\name:
    push {r4-r11, lr}
    ldr r9, =\mask
    sub sp, sp, #PAIRED_FRAME
    ldr r5, [sp, #PAIRED_GIVEN]
    @ As if of a word that is none.
    mov r4, #1
    str r4, [sp]
    str r5, [sp, #PAIRED_END]
.Lbt_pairs_\name\()_row:
    ldrh r12, [r1]
    ldmia sp, {r4, r6, r10, r11, lr}
    add r12, r0, r12, lsl #1
    cmp r4, r12, lsl #28
    bne .Lbt_pairs_\name\()_other
    bx r6
    @ Codes and rounds of pairs of rows that begin at another word of a group.
.Lbt_pairs_\name\()_other:
    lsl r4, r12, #28
    sub r5, r12, r0
    ubfx r5, r5, #2, #2
    rsb r5, r5, #4
    and r5, r5, #3
    ldr r11, =bt_core_pairs_code_\name
    sub r8, r3, r5
    and r7, r8, #3
    ldr lr, [r11, r7, lsl #2]
    str lr, [sp, #PAIRED_TAIL]
    @ Groups, and how far they are apart if there is more than one or something behind it.
    lsr r8, r8, #2
    add r10, r1, r5, lsl #1
    ldrh r6, [r10]
    ldrh r10, [r10, #8]
    sub r10, r10, r6
    lsl r10, r10, #1
    rsb r7, r8, #0
    and r7, r7, #3
    add r7, r11, r7, lsl #2
    ldr r7, [r7, #28]
    cmp r8, #0
    it eq
    moveq r7, lr
    cmp r8, #4
    it hi
    ldrhi lr, [r11, #44]
    str r7, [sp, #PAIRED_FOURS]
    add r6, r11, r5, lsl #2
    add r11, r8, #3
    lsr r11, r11, #2
    cmp r5, #0
    ite eq
    moveq r6, r7
    ldrne r6, [r6, #12]
    stmia sp, {r4, r6, r10, r11, lr}
    bx r6
.Lbt_pairs_\name\()_head_3:
    paired_one \name
    str r4, [r12], #4
    paired_two \name
    strd r4, r5, [r12]
    headed 3
.Lbt_pairs_\name\()_head_2:
    paired_two \name
    strd r4, r5, [r12]
    headed 2
.Lbt_pairs_\name\()_head_1:
    paired_one \name
    str r4, [r12]
    headed 1
.Lbt_pairs_\name\()_round:
    subs r11, r11, #1
    it eq
    ldreq pc, [sp, #PAIRED_TAIL]
.Lbt_pairs_\name\()_four_0:
    paired_four \name
.Lbt_pairs_\name\()_four_1:
    paired_four \name
.Lbt_pairs_\name\()_four_2:
    paired_four \name
.Lbt_pairs_\name\()_four_3:
    paired_four \name
    bx lr
.Lbt_pairs_\name\()_tail_3:
    paired_two \name
    strd r4, r5, [r12], #8
.Lbt_pairs_\name\()_tail_1:
    paired_one \name
    str r4, [r12]
    b .Lbt_pairs_\name\()_tail_0
.Lbt_pairs_\name\()_tail_2:
    paired_two \name
    strd r4, r5, [r12]
.Lbt_pairs_\name\()_tail_0:
    ldr r5, [sp, #PAIRED_END]
    add r2, r2, r3
    add r1, r1, r3, lsl #2
    cmp r2, r5
    bne .Lbt_pairs_\name\()_row
    add sp, sp, #PAIRED_FRAME
    pop {r4-r11, pc}
    .ltorg
    .size bt_core_pairs_\name, . - bt_core_pairs_\name

    @ Code addresses: tails by what is left, heads, groups, what comes after a round of them.
    .section .rodata.bt_core_pairs_code_\name, "a", %progbits
    .p2align 2
    .type bt_core_pairs_code_\name, %object
bt_core_pairs_code_\name:
    .irp code, tail_0, tail_1, tail_2, tail_3, head_1, head_2, head_3, four_0, four_1, four_2, four_3, round
    .word .Lbt_pairs_\name\()_\code + 1
    .endr
    .size bt_core_pairs_code_\name, . - bt_core_pairs_code_\name
    .endm

    gather_pairs bytes, 0x7f807f80
    gather_pairs centred, 0xff00ff00
    .text
