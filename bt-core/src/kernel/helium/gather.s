@ Values by a table of their places, on Helium: eight a round, the last ones under a predicate.
@
@ r0 panels, r1 places, r2 values, r3 so many. Places are halves from r0.

    .cpu cortex-m55
    .syntax unified
    .thumb

    .macro hg_places name, bytes
    .section .text.bt_core_helium_places_\name, "ax", %progbits
    .p2align 2
    .global bt_core_helium_places_\name
    .type bt_core_helium_places_\name, %function
    .thumb_func
bt_core_helium_places_\name:
    push {r7, lr}
    hg_begin_\name
    dlstp.16 lr, r3
1:
    .if \bytes
    vldrb.u16 q0, [r2], #8
    .else
    vldrh.u16 q0, [r2], #16
    .endif
    vldrh.u16 q1, [r1], #16
    hg_widen_\name
    vstrh.16 q0, [r0, q1, uxtw #1]
    letp lr, 1b
    pop {r7, pc}
    .size bt_core_helium_places_\name, . - bt_core_helium_places_\name
    .endm

    .macro hg_begin_bytes
    .endm

    .macro hg_begin_signed
    .endm

    .macro hg_begin_centred
    vmov.i16 q2, #256
    mov r12, #0x8000
    .endm

    .macro hg_begin_halves
    .endm

    .macro hg_widen_bytes
    vshl.i16 q0, q0, #7
    .endm

    .macro hg_widen_signed
    vshl.i16 q0, q0, #8
    .endm

    @ times 256, less 2^15
    .macro hg_widen_centred
    vmlas.s16 q0, q2, r12
    .endm

    .macro hg_widen_halves
    .endm

    hg_places bytes, 1
    hg_places signed, 1
    hg_places centred, 1
    hg_places halves, 0
    .text
