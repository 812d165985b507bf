@ Rows of a head times x, added to sums: weights i16, as x.
@
@ Two rows share four words of x: three LDM and eight SMLAD for 16 multiply-accumulates. A row whose words are
@ not aligned is read by LDR, which alone may do so: nine instructions for eight.

    .equ H_X, 0
    .equ H_LOOPS, 4         @ of four blocks of four words
    .equ H_WEIGHTS, 8
    .equ H_STRIDE, 12       @ bytes from row to row
    .equ H_SUMS, 16
    .equ H_SUMS_END, 20
    .equ H_ENTRY, 24        @ code: the block to begin with
    .equ H_TAIL, 28         @ words after the blocks

    .macro multiply_four sum
    smlad \sum, r5, r9, \sum
    smlad \sum, r6, r10, \sum
    smlad \sum, r7, r11, \sum
    smlad \sum, r8, r12, \sum
    .endm

    @ r0, r1 the words of two rows; r2 those of x; r3, r4 sums; lr loops left.
    .section .text.bt_core_head_pairs, "ax", %progbits
    .syntax unified
    .thumb
    .p2align 2
    .global bt_core_head_pairs
    .type bt_core_head_pairs, %function
    .thumb_func
bt_core_head_pairs:
    push {r4-r11, lr}
    ldmia r0, {r4-r11}
    push {r4-r11}
.Lbt_head_pair:
    ldrd r0, r6, [sp, #H_WEIGHTS]
    adds r1, r0, r6
    adds r6, r6, r1
    ldr r5, [sp, #H_SUMS]
    ldrd r3, r4, [r5]
    ldrd r2, lr, [sp, #H_X]
    str r6, [sp, #H_WEIGHTS]
    ldr pc, [sp, #H_ENTRY]
    .irp block, 0, 1, 2, 3
.Lbt_head_\block:
    ldmia r2!, {r9-r12}
    ldmia r0!, {r5-r8}
    multiply_four r3
    ldmia r1!, {r5-r8}
    multiply_four r4
    .endr
    subs lr, lr, #1
    bne .Lbt_head_0
.Lbt_head_tail:
    ldr r5, [sp, #H_TAIL]
    cbz r5, .Lbt_head_finish
.Lbt_head_single:
    ldr r9, [r2], #4
    ldr r6, [r0], #4
    ldr r7, [r1], #4
    smlad r3, r6, r9, r3
    smlad r4, r7, r9, r4
    subs r5, r5, #1
    bne .Lbt_head_single
.Lbt_head_finish:
    ldrd r5, r6, [sp, #H_SUMS]
    strd r3, r4, [r5], #8
    str r5, [sp, #H_SUMS]
    cmp r5, r6
    bne .Lbt_head_pair
    add sp, sp, #32
    pop {r4-r11, pc}
    .size bt_core_head_pairs, . - bt_core_head_pairs

    @ r0 weights, at any half; r1 words of x; r2 values; r3 the sum, r0 with the products.
    .section .text.bt_core_head_row, "ax", %progbits
    .p2align 2
    .global bt_core_head_row
    .type bt_core_head_row, %function
    .thumb_func
bt_core_head_row:
    push {r4-r11, lr}
    subs r2, r2, #8
    blo .Lbt_head_row_rest
.Lbt_head_row_eight:
    ldmia r1!, {r9-r12}
    ldr r5, [r0], #4
    ldr r6, [r0], #4
    ldr r7, [r0], #4
    ldr r8, [r0], #4
    multiply_four r3
    subs r2, r2, #8
    bhs .Lbt_head_row_eight
.Lbt_head_row_rest:
    adds r2, r2, #8
    beq .Lbt_head_row_end
.Lbt_head_row_one:
    ldrsh r5, [r0], #2
    ldrsh r9, [r1], #2
    smlabb r3, r5, r9, r3
    subs r2, r2, #1
    bne .Lbt_head_row_one
.Lbt_head_row_end:
    mov r0, r3
    pop {r4-r11, pc}
    .size bt_core_head_row, . - bt_core_head_row

    @ Code addresses: the blocks, the tail.
    .section .rodata.bt_core_head_code, "a", %progbits
    .p2align 2
    .global bt_core_head_code
    .type bt_core_head_code, %object
bt_core_head_code:
    .irp place, 0, 1, 2, 3, tail
    .word .Lbt_head_\place + 1
    .endr
    .size bt_core_head_code, . - bt_core_head_code
    .text
