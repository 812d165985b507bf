@ Weights from memory, by LDRD for each pair of k of each tile, and no register of the FPU; see contract.s.
@
@ lr leads through W, r0 through X; r12 and r1 hold a pair of W, r2 and r3 words of X. That is 11
@ instructions for a pair, which are 16 multiply-accumulates.

    .equ SAVED_OWN, 0
    .equ FRAME, 96
    .equ SHORT_WAYS, 1

    .macro save
    .endm

    .macro restore
    .endm

    .macro places
    ldmia sp, {r1, r2, r3, r11, r12, lr}
    .endm

    .macro weights
    ldr lr, [sp, #W_TILE]
    .endm

    .macro load_row
    mov lr, r1
    str r1, [sp, #W_TILE]
    add r1, r1, r7
    str r1, [sp, #W]
    ldr pc, [sp, #TILE]
    .endm

    .macro row_code
    ldr r0, [r7, #CODE_ENTER]
    lsl r3, r10, #3
    strd r3, r0, [sp, #ROW]
    .endm

    .macro more_code
    .endm

    .macro pass_code
    .endm

    .macro loads
    .endm

    @ W of the next row of tiles begins where that of this one ends.
    .macro passes
.Lbt_long:
    ldr r2, [sp, #W]
    cmp lr, r2
    it eq
    ldreq pc, [sp, #COMPLETE]
    b .Lbt_pair_0
    .endm

    .macro codes
    .endm

    .macro column a, b, x, first
    .if \first
    smlad \a, r12, \x, r11
    smlad \b, r1, \x, r11
    .else
    smlad \a, r12, \x, \a
    smlad \b, r1, \x, \b
    .endif
    .endm

    .macro pair b, first
    ldrd r12, r1, [lr], #8
    ldrd r2, r3, [r0], #8
    column r4, r8, r2, \first
    column r5, r9, r3, \first
    ldrd r2, r3, [r0], #8
    column r6, r10, r2, \first
    column r7, r11, r3, \first
    .endm

    .macro preload b
    .endm
