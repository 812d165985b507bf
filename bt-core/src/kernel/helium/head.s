@ Rows of a head times x, added to sums, on Helium: weights i16, as x.
@
@ Four rows share eight values of x: nine instructions and the loop's end for 32 multiply-accumulates. The last
@ round takes one to eight values, under the loop's own predicate: nothing beyond a row is read.

    .equ HH_X, 0            @ x, values
    .equ HH_FRAME, 8

    .cpu cortex-m55
    .syntax unified
    .thumb

    @ Rows in groups of so many: r0, r2, r4, r6 sums; r1, r3, r5, r7 halves of the rows; r8 of x; r9 sums, r10 their
    @ end; r11 bytes from row to row; r12 the next group's first row; lr values left.
    .macro hh_rows of
    .section .text.bt_core_helium_head_\of, "ax", %progbits
    .p2align 2
    .global bt_core_helium_head_\of
    .type bt_core_helium_head_\of, %function
    .thumb_func
bt_core_helium_head_\of:
    push {r4-r11, lr}
    ldm r0, {r1, r2, r9-r12}
    push {r1, r2}
.Lbt_hh_group_\of:
    mov r1, r12
    add r12, r12, r11
    .if \of > 1
    mov r3, r12
    add r5, r3, r11
    add r7, r5, r11
    add r12, r7, r11
    ldm r9, {r0, r2, r4, r6}
    .else
    ldr r0, [r9]
    .endif
    ldrd r8, lr, [sp, #HH_X]
    dlstp.16 lr, lr
.Lbt_hh_eight_\of:
    vldrh.u16 q0, [r8], #16
    vldrh.u16 q1, [r1], #16
    .if \of > 1
    vldrh.u16 q2, [r3], #16
    vmladava.s16 r0, q0, q1
    vldrh.u16 q3, [r5], #16
    vmladava.s16 r2, q0, q2
    vldrh.u16 q1, [r7], #16
    vmladava.s16 r4, q0, q3
    vmladava.s16 r6, q0, q1
    .else
    vmladava.s16 r0, q0, q1
    .endif
    letp lr, .Lbt_hh_eight_\of
    .if \of > 1
    stm r9!, {r0, r2, r4, r6}
    .else
    str r0, [r9], #4
    .endif
    cmp r9, r10
    bne .Lbt_hh_group_\of
    add sp, sp, #HH_FRAME
    pop {r4-r11, pc}
    .size bt_core_helium_head_\of, . - bt_core_helium_head_\of
    .endm

    hh_rows 4
    hh_rows 1
    .text
