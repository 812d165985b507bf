@ One step of an LSTM's units on Helium: four at a time, the last ones under a predicate.
@
@ r0, r4, r5, r6: z of i, f, g, o; r1 c; r2 h; r3 units; r9, r10 the lines of the gate and of tanh. A line is
@ base 2^16 + slope: its value, line + slope d, stands in the top half of a lane, where VMULLT reads it.

    .cpu cortex-m55
    .syntax unified
    .thumb

    .macro hu_sigmoid out, at
    vldrh.u32 q6, [\at], #8
    vshr.u32 q5, q6, #7
    vshl.i32 q6, q6, #5
    vldrw.u32 \out, [r9, q5, uxtw #2]
    vmullb.s16 q6, \out, q6
    vadd.i32 \out, \out, q6
    .endm

    @ 26214 z, clipped to 28 bits, plus 2^27, three bits to the left.
    .macro hu_hard_sigmoid out, at
    vldrh.s32 \out, [\at], #8
    vmul.i32 \out, \out, r9
    vqshl.s32 \out, \out, #4
    vshr.s32 \out, \out, #1
    vadd.i32 \out, \out, r8
    .endm

    .macro hu_units gate
    .section .text.bt_core_helium_\gate, "ax", %progbits
    .p2align 2
    .global bt_core_helium_\gate
    .type bt_core_helium_\gate, %function
    .thumb_func
bt_core_helium_\gate:
    push {r4-r10, lr}
    vpush {d8-d15}
    ldrd r9, r10, [sp, #32 + 64]
    add r4, r0, r3, lsl #1
    add r5, r0, r3, lsl #2
    add r6, r5, r3, lsl #1
    movw r7, #0
    movt r7, #0xffff
    mov r8, #0x40000000
    vdup.32 q7, r7
    dlstp.32 lr, r3
1:
    hu_\gate q0, r0
    @ tanh(z_g), clamped to 8
    vldrh.u32 q2, [r5], #8
    vqshl.s16 q2, q2, #1
    vbic.i16 q2, #1
    vshr.u32 q1, q2, #7
    vshl.i32 q2, q2, #4
    vldrw.u32 q3, [r10, q1, uxtw #2]
    vmullb.s16 q2, q3, q2
    vadd.i32 q3, q3, q2
    @ i g
    vmullt.s16 q0, q0, q3
    hu_\gate q1, r4
    @ c' = 2 ((i g >> 7) + (c f >> 16))
    vldrw.u32 q2, [r1]
    vand q1, q1, q7
    vmulh.s32 q2, q2, q1
    vshr.s32 q0, q0, #7
    vadd.i32 q0, q0, q2
    vqadd.s32 q0, q0, q0
    vstrw.32 q0, [r1], #16
    @ tanh(c')
    vqshl.s32 q0, q0, #4
    vshr.u32 q1, q0, #23
    vshr.u32 q2, q0, #12
    vldrw.u32 q3, [r10, q1, uxtw #2]
    vmullb.s16 q2, q3, q2
    vadd.i32 q3, q3, q2
    hu_\gate q0, r6
    @ h' = (o tanh(c') + 2^14) >> 15
    vmullt.s16 q0, q0, q3
    vrshr.s32 q0, q0, #15
    vstrh.32 q0, [r2], #8
    letp lr, 1b
    vpop {d8-d15}
    pop {r4-r10, pc}
    .size bt_core_helium_\gate, . - bt_core_helium_\gate
    .endm

    hu_units sigmoid
    hu_units hard_sigmoid
    .text
