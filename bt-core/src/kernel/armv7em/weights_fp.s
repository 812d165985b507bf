@ Weights in the FPU's registers: pair of k b in d\b, for a whole row of tiles; see contract.s.
@
@ One VMOV fetches a pair for r12 and lr. The words of X stream through r1-r3 by LDM of three; a pair takes
@ four, so blocks come in three phases, b mod 3. That is 31 instructions for three pairs, which are 48
@ multiply-accumulates.

    .fpu fpv4-sp-d16
    .equ SAVED_OWN, 64
    .equ W_END, 96          @ passes: of this row of tiles
    .equ W_FIRST, 100       @ passes, code: load the first of them
    .equ FRAME, 104
    .equ CODE_ROW, 64       @ from CODE_OWN on: row, tile of several passes
    .equ CODE_KEEP_AGAIN, 72

    .macro save
    vpush {d8-d15}
    .endm

    .macro restore
    vpop {d8-d15}
    .endm

    .macro places
    ldmia sp, {r1, r2, r3, r11, r12}
    .endm

    .macro weights
    .endm

    .macro load_row
    ldr pc, [sp, #ROW]
    .endm

    .macro row_code
    ldr r3, [r7, #CODE_OWN]
    ldr r0, [r7, #CODE_ENTER]
    strd r3, r0, [sp, #ROW]
    .endm

    .macro pass_code
    cmp r8, #2
    it eq
    ldreq r0, [r12, #CODE_OWN + CODE_KEEP_AGAIN]
    it eq
    streq r0, [sp, #COMPLETE]
    ldr r0, [sp, #ROW]
    str r0, [sp, #W_FIRST]
    lsl r0, r10, #3
    str r0, [sp, #W_BYTES]
    ldr r0, [r12, #CODE_OWN + CODE_ROW]
    str r0, [sp, #ROW]
    ldr r0, [r12, #CODE_OWN + CODE_ROW + 4]
    str r0, [sp, #TILE]
    .endm

    .macro loads
    @ W of a row of tiles, or the first pass of it, from r1.
    .irp b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_load_\b:
    vldmia r1!, {d\b-d15}
    str r1, [sp, #W]
    ldr pc, [sp, #LOADED]
    .endr
    .endm

    .macro passes
.Lbt_long_row:
    ldr r2, [sp, #W_BYTES]
    add r2, r2, r1
    str r1, [sp, #W_TILE]
    str r2, [sp, #W_END]
    ldr pc, [sp, #TILE]
.Lbt_long_tile:
    ldr r1, [sp, #W_TILE]
    ldr pc, [sp, #W_FIRST]
.Lbt_long:
    ldr r1, [sp, #W]
    ldr r2, [sp, #W_END]
    cmp r1, r2
    it eq
    ldreq pc, [sp, #COMPLETE]
    vldmia r1!, {d0-d15}
    str r1, [sp, #W]
    b .Lbt_pair_0
    @ The next tile of several passes begins with another load.
.Lbt_keep_again:
    ldr r12, [sp, #ACC]
    stmdb r12, {r4-r11}
    ldr r3, [sp, #X_END]
    cmp r0, r3
    it ne
    ldrne pc, [sp, #TILE]
    b .Lbt_row
    .endm

    .macro codes
    .irp b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .word .Lbt_load_\b + 1
    .endr
    .irp name, long_row, long_tile, keep_again
    .word .Lbt_\name + 1
    .endr
    .endm

    .macro column a, b, x, first
    .if \first
    smlad \a, r12, \x, r11
    smlad \b, lr, \x, r11
    .else
    smlad \a, r12, \x, \a
    smlad \b, lr, \x, \b
    .endif
    .endm

    .macro pair b, first
    vmov r12, lr, d\b
    .if \b % 3 == 0
    ldmia r0!, {r1, r2, r3}
    column r4, r8, r1, \first
    column r5, r9, r2, \first
    column r6, r10, r3, \first
    .if \b == 15
    ldr r1, [r0], #4
    .else
    ldmia r0!, {r1, r2, r3}
    .endif
    column r7, r11, r1, \first
    .elseif \b % 3 == 1
    column r4, r8, r2, \first
    column r5, r9, r3, \first
    ldmia r0!, {r1, r2, r3}
    column r6, r10, r1, \first
    column r7, r11, r2, \first
    .else
    column r4, r8, r3, \first
    ldmia r0!, {r1, r2, r3}
    column r5, r9, r1, \first
    column r6, r10, r2, \first
    column r7, r11, r3, \first
    .endif
    .endm

    @ The words of X that the block before b would have left.
    .macro preload b
    .if \b % 3 == 1
    ldmia r0!, {r2, r3}
    .elseif \b % 3 == 2
    ldr r3, [r0], #4
    .endif
    .endm

