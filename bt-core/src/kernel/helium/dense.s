@ Whole products of a dense map, added to z, on Helium: two rows a, b share a row of halves 256 a + b.
@
@ VMLALDAVA sums 256 A + B in 64 bits; VMOVLB takes the halves' b for B; A is the rest. A step is eight
@ values of three row pairs that share x: 13 instructions for 48 multiply-accumulates. A row's last step
@ takes one to eight values, under a predicate: nothing beyond the row is read.
@
@ r0-r5 sums 256 A + B; r6, r8, r10 sums B; r7, r9, r11 halves of W; r12 x; lr rounds of eight steps left.

    .equ HD_START, 0        @ eleven words: sums of zero, x, rounds
    .equ HD_STRIDE, 44      @ bytes of a row pair
    .equ HD_ENTRY, 48       @ code: the step to begin with
    .equ HD_Z_END, 52       @ of whole groups
    .equ HD_SKIP, 56        @ bytes from the last row pair's last step to the next group
    .equ HD_SCALES, 60
    .equ HD_Z, 64
    .equ HD_W, 68
    .equ HD_LAST, 72        @ values of the last step
    .equ HD_FRAME, 76

    .cpu cortex-m55
    .syntax unified
    .thumb

    .macro hd_products of, x
    vmlaldava.s16 r0, r1, q0, \x
    vmovlb.s8 q0, q0
    .if \of > 1
    vmlaldava.s16 r2, r3, q1, \x
    vmovlb.s8 q1, q1
    .endif
    vmladava.s16 r6, q0, \x
    .if \of > 1
    vmlaldava.s16 r4, r5, q2, \x
    vmovlb.s8 q2, q2
    vmladava.s16 r8, q1, \x
    vmladava.s16 r10, q2, \x
    .endif
    .endm

    .macro hd_step of
    vldrh.u16 q3, [r12], #16
    vldrh.u16 q0, [r7], #16
    .if \of > 1
    vldrh.u16 q1, [r9], #16
    vldrh.u16 q2, [r11], #16
    .endif
    hd_products \of, q3
    .endm

    @ Row pairs in groups of so many.
    .macro hd_rows of
    .section .text.bt_core_helium_dense_\of, "ax", %progbits
    .p2align 2
    .global bt_core_helium_dense_\of
    .type bt_core_helium_dense_\of, %function
    .thumb_func
bt_core_helium_dense_\of:
    push {r4-r11, lr}
    sub sp, sp, #HD_FRAME
    mov r12, sp
    ldm r0!, {r1-r8}
    stm r12!, {r1-r8}
    ldm r0!, {r1-r8}
    stm r12!, {r1-r8}
    ldm r0, {r1-r3}
    stm r12, {r1-r3}
    ldrd r7, r1, [sp, #HD_W]
    vctp.16 r1
.Lbt_hd_group_\of:
    ldm sp, {r0-r6, r8, r10, r12, lr}
    .if \of > 1
    ldr r9, [sp, #HD_STRIDE]
    add r11, r7, r9, lsl #1
    add r9, r9, r7
    .endif
    ldr pc, [sp, #HD_ENTRY]
    .irp step, 0, 1, 2, 3, 4, 5, 6, 7
.Lbt_hd_\of\()_\step:
    hd_step \of
    .endr
    le lr, .Lbt_hd_\of\()_0
.Lbt_hd_\of\()_last:
    .if \of > 1
    vpstttt
    vldrht.u16 q3, [r12]
    vldrht.u16 q0, [r7]
    vldrht.u16 q1, [r9]
    vldrht.u16 q2, [r11]
    .else
    vpstt
    vldrht.u16 q3, [r12]
    vldrht.u16 q0, [r7]
    .endif
    hd_products \of, q3
    @ A = (256 A + B - B) / 256
    subs r0, r0, r6
    sbc r1, r1, r6, asr #31
    lsrl r0, r1, #8
    .if \of > 1
    subs r2, r2, r8
    sbc r3, r3, r8, asr #31
    lsrl r2, r3, #8
    subs r4, r4, r10
    sbc r5, r5, r10, asr #31
    lsrl r4, r5, #8
    .endif
    @ z + sum times scale, its top half rounded; only the whole saturates
    ldrd r1, r3, [sp, #HD_SCALES]
    .if \of > 1
    vmov q0[2], q0[0], r0, r2
    vmov q0[3], q0[1], r6, r8
    vldrw.u32 q1, [r1], #16
    vldrh.s32 q2, [r3]
    vrmulh.s32 q0, q0, q1
    vadd.i32 q0, q0, q2
    vqmovnb.s32 q0, q0
    vstrh.32 q0, [r3], #8
    .else
    mov r4, r0
    mov r10, r6
    .endif
    ldrd r0, r2, [r1], #8
    smmulr r4, r4, r0
    smmulr r10, r10, r2
    ldr r0, [r3]
    sxtah r4, r4, r0
    sxtah r10, r10, r0, ror #16
    ssat r4, #16, r4
    ssat r10, #16, r10
    pkhbt r4, r4, r10, lsl #16
    str r4, [r3], #4
    strd r1, r3, [sp, #HD_SCALES]
    ldrd r0, r2, [sp, #HD_Z_END]
    .if \of > 1
    add r7, r11, r2
    .else
    add r7, r7, r2
    .endif
    cmp r3, r0
    bne .Lbt_hd_group_\of
    add sp, sp, #HD_FRAME
    pop {r4-r11, pc}
    .size bt_core_helium_dense_\of, . - bt_core_helium_dense_\of

    @ Code addresses: the steps, the last one.
    .section .rodata.bt_core_helium_dense_code_\of, "a", %progbits
    .p2align 2
    .global bt_core_helium_dense_code_\of
    .type bt_core_helium_dense_code_\of, %object
bt_core_helium_dense_code_\of:
    .irp place, 0, 1, 2, 3, 4, 5, 6, 7, last
    .word .Lbt_hd_\of\()_\place + 1
    .endr
    .size bt_core_helium_dense_code_\of, . - bt_core_helium_dense_code_\of
    .endm

    hd_rows 3
    hd_rows 1
    .text
