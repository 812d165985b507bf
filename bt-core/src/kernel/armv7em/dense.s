@ Whole products of a dense map, added to z: two rows a, b share a word, 256 a + b in each of two lanes.
@
@ SMLALD sums 256 A + B in 64 bits, SXTB16 takes the lanes' b for B; A is the rest. Four words of W and of
@ x come by one LDM each: 14 instructions for 16 multiply-accumulates.
@
@ r0 words of W; r1 words of x; r2 loops left; r3, r4 the sum 256 A + B; r5 the sum B.

    .equ D_X, 0
    .equ D_LOOPS, 4
    .equ D_ENTRY, 8         @ code: the block to begin with
    .equ D_TAIL, 12         @ words after the blocks
    .equ D_SCALES, 16
    .equ D_Z, 20
    .equ D_Z_END, 24
    .equ D_W, 28

    .macro multiply w, x
    smlald r3, r4, \w, \x
    sxtb16 \w, \w
    smlad r5, \w, \x, r5
    .endm

    .section .text.bt_core_dense_rows, "ax", %progbits
    .syntax unified
    .thumb
    .p2align 2
    .global bt_core_dense_rows
    .type bt_core_dense_rows, %function
    .thumb_func
bt_core_dense_rows:
    push {r4-r11, lr}
    ldmia r0, {r4-r11}
    push {r4-r11}
    mov r0, r11
.Lbt_dense_pair:
    ldrd r1, r2, [sp, #D_X]
    movs r3, #0
    movs r4, #0
    movs r5, #0
    ldr pc, [sp, #D_ENTRY]
    .irp block, 0, 1, 2, 3, 4, 5, 6, 7
.Lbt_dense_\block:
    ldmia r0!, {r6-r9}
    ldmia r1!, {r10-r12, lr}
    multiply r6, r10
    multiply r7, r11
    multiply r8, r12
    multiply r9, lr
    .endr
    subs r2, r2, #1
    bne .Lbt_dense_0
.Lbt_dense_tail:
    ldr r2, [sp, #D_TAIL]
    cbz r2, .Lbt_dense_finish
.Lbt_dense_single:
    ldr r6, [r0], #4
    ldr r10, [r1], #4
    multiply r6, r10
    subs r2, r2, #1
    bne .Lbt_dense_single
.Lbt_dense_finish:
    @ A = (256 A + B - B) / 256
    subs r3, r3, r5
    sbc r4, r4, r5, asr #31
    lsrs r3, r3, #8
    orr r3, r3, r4, lsl #24
    @ z + sum times scale, its top half rounded; only the whole saturates
    ldrd r8, r9, [sp, #D_SCALES]
    ldrd r6, r7, [r8], #8
    smmulr r3, r3, r6
    smmulr r5, r5, r7
    ldr r6, [r9]
    sxtah r3, r3, r6
    sxtah r5, r5, r6, ror #16
    ssat r3, #16, r3
    ssat r5, #16, r5
    pkhbt r3, r3, r5, lsl #16
    str r3, [r9], #4
    strd r8, r9, [sp, #D_SCALES]
    ldr r6, [sp, #D_Z_END]
    cmp r9, r6
    bne .Lbt_dense_pair
    add sp, sp, #32
    pop {r4-r11, pc}
    .size bt_core_dense_rows, . - bt_core_dense_rows

    @ Code addresses: the blocks, the tail.
    .section .rodata.bt_core_dense_code, "a", %progbits
    .p2align 2
    .global bt_core_dense_code
    .type bt_core_dense_code, %object
bt_core_dense_code:
    .irp place, 0, 1, 2, 3, 4, 5, 6, 7, tail
    .word .Lbt_dense_\place + 1
    .endr
    .size bt_core_dense_code, . - bt_core_dense_code
    .text
