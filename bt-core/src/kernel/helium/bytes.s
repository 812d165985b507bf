@ Whole products of a dense map of rows of bytes, added to z, on Helium: four rows side by side.
@
@ A value is 256 h + l + 128 of two signed bytes. Those of x are taken apart where they lie, sixteen h, then sixteen
@ l, and put together again at the end. VMLADAVA then sums sixteen products of bytes: 14 instructions for a block, 64
@ multiply-accumulates. 128 Σ w of every row are in the file. Sums wrap: the whole one fits 32 bits.
@
@ r0, r4, r8, r12 sums of h; r2, r6, r10, lr of l; r1 W; r3 x; r5 rounds of eight blocks left; r7 z; r9 scales; r11 Σ w.

    .equ HB_X, 0            @ high bytes of the first block, low ones
    .equ HB_NEXT, 8         @ the next block; rounds
    .equ HB_ENTRY, 16       @ code: the block to go on with
    .equ HB_Z_END, 20
    .equ HB_BLOCKS, 24      @ behind the first
    .equ HB_FIRST, 28       @ values of the first block
    .equ HB_FRAME, 36

    .cpu cortex-m55
    .syntax unified
    .thumb

    @ Four rows of a block: W comes, behind x.
    .macro hb_products a
    vldrb.u8 q2, [r1], #16
    vmladav\a\().s8 r0, q2, q0
    vldrb.u8 q3, [r1], #16
    vmladav\a\().s8 r2, q2, q1
    vmladav\a\().s8 r4, q3, q0
    vldrb.u8 q2, [r1], #16
    vmladav\a\().s8 r6, q3, q1
    vmladav\a\().s8 r8, q2, q0
    vldrb.u8 q3, [r1], #16
    vmladav\a\().s8 r10, q2, q1
    vmladav\a\().s8 r12, q3, q0
    vmladav\a\().s8 lr, q3, q1
    .endm

    .section .text.bt_core_helium_bytes, "ax", %progbits
    .p2align 2
    .global bt_core_helium_bytes
    .type bt_core_helium_bytes, %function
    .thumb_func
bt_core_helium_bytes:
    push {r4-r11, lr}
    sub sp, sp, #HB_FRAME
    ldm r0!, {r1-r6}
    strd r5, r6, [sp, #HB_ENTRY]
    strd r3, r2, [sp, #HB_BLOCKS]
    @ x, where its low bytes begin, the next block
    add r6, r1, r2
    add r5, r6, r2
    strd r1, r6, [sp, #HB_X]
    strd r5, r4, [sp, #HB_NEXT]
    @ Bytes of x apart; low ones less 128.
    vmov.i8 q2, #0x80
    movs r4, #0
    vidup.u8 q3, r4, #2
    vctp.8 r2
    adds r7, r1, #1
    vpstt
    vldrbt.u8 q0, [r1, q3]
    vldrbt.u8 q1, [r7, q3]
    veor q0, q0, q2
    vpstt
    vstrbt.8 q1, [r1]
    vstrbt.8 q0, [r6]
    wls lr, r3, .Lbt_hb_apart
.Lbt_hb_split:
    vld20.8 {q0, q1}, [r5]
    vld21.8 {q0, q1}, [r5]
    veor q0, q0, q2
    vstrb.8 q1, [r5], #16
    vstrb.8 q0, [r5], #16
    le lr, .Lbt_hb_split
.Lbt_hb_apart:
    ldm r0, {r1, r7, r9, r11}
.Lbt_hb_group:
    ldrd r3, r5, [sp, #HB_X]
    vldrb.u8 q0, [r3]
    vldrb.u8 q1, [r5]
    hb_products
    ldrd r3, r5, [sp, #HB_NEXT]
    ldr pc, [sp, #HB_ENTRY]
    .irp block, 0, 1, 2, 3, 4, 5, 6, 7
.Lbt_hb_\block:
    vldrb.u8 q0, [r3], #16
    vldrb.u8 q1, [r3], #16
    hb_products a
    .endr
    subs r5, r5, #1
    bne.w .Lbt_hb_0
.Lbt_hb_finish:
    vmov q0[2], q0[0], r0, r8
    vmov q0[3], q0[1], r4, r12
    vmov q1[2], q1[0], r2, r10
    vmov q1[3], q1[1], r6, lr
    vldrw.u32 q2, [r11], #16
    vshl.i32 q0, q0, #8
    vadd.i32 q1, q1, q2
    vldrw.u32 q3, [r9], #16
    vadd.i32 q0, q0, q1
    @ z + sum times scale, its top half rounded; only the whole saturates
    vldrh.s32 q2, [r7]
    vrmulh.s32 q0, q0, q3
    ldr r5, [sp, #HB_Z_END]
    vadd.i32 q0, q0, q2
    vqmovnb.s32 q0, q0
    vstrh.32 q0, [r7], #8
    cmp r7, r5
    bne.w .Lbt_hb_group
    @ Bytes of x together.
    vmov.i8 q2, #0x80
    movs r4, #0
    vidup.u8 q3, r4, #2
    ldrd r3, r2, [sp, #HB_BLOCKS]
    ldrd r1, r6, [sp, #HB_X]
    ldr r5, [sp, #HB_NEXT]
    vctp.8 r2
    adds r7, r1, #1
    vpstt
    vldrbt.u8 q1, [r1]
    vldrbt.u8 q0, [r6]
    veor q0, q0, q2
    vpstt
    vstrbt.8 q0, [r1, q3]
    vstrbt.8 q1, [r7, q3]
    wls lr, r3, .Lbt_hb_whole
.Lbt_hb_join:
    vldrb.u8 q1, [r5]
    vldrb.u8 q0, [r5, #16]
    veor q0, q0, q2
    vst20.8 {q0, q1}, [r5]
    vst21.8 {q0, q1}, [r5]!
    le lr, .Lbt_hb_join
.Lbt_hb_whole:
    add sp, sp, #HB_FRAME
    pop {r4-r11, pc}
    .size bt_core_helium_bytes, . - bt_core_helium_bytes

    @ Code addresses: the blocks, what follows the last.
    .section .rodata.bt_core_helium_bytes_code, "a", %progbits
    .p2align 2
    .global bt_core_helium_bytes_code
    .type bt_core_helium_bytes_code, %object
bt_core_helium_bytes_code:
    .irp place, 0, 1, 2, 3, 4, 5, 6, 7, finish
    .word .Lbt_hb_\place + 1
    .endr
    .size bt_core_helium_bytes_code, . - bt_core_helium_bytes_code
    .text
