@ Weights in the FPU's registers: pair of k b in d\b, for a whole row of tiles; see contract.s.
@
@ One VMOV fetches a pair for r12 and lr. The words of X stream through r1-r3 by LDM of three; a pair takes
@ four, so blocks come in three phases, b mod 3. That is 31 instructions for three pairs, which are 48
@ multiply-accumulates.
@
@ Of 17 and 18 pairs the first wait on the stack for a row of tiles, in blocks -2 and -1. More run in passes.

    .fpu fpv4-sp-d16
    .equ SAVED_OWN, 64
    .equ W_END, 96          @ passes: of this row of tiles
    .equ W_FIRST, 100       @ passes, code: load the first of them
    .equ W_MORE, 104        @ weights of the pairs beyond 16
    .equ FRAME, 120
    .equ SHORT_WAYS, 0      @ straight.s takes what is frequent
    .equ CODE_ROW, 64       @ from CODE_OWN on: row, tile of several passes
    .equ CODE_KEEP_AGAIN, 72
    .equ CODE_MORE, 76      @ of 17 pairs, of 18: load a row, the first block, the first of sums that are there
    .equ PAIRS_MORE, 18

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
    bx r7
    .endm

    .macro row_code
    ldr r3, [r7, #CODE_OWN]
    ldr r0, [r7, #CODE_ENTER]
    strd r3, r0, [sp, #ROW]
    .endm

    .macro more_code
    cmp r10, #PAIRS_MORE
    bhi .Lbt_long_code
    add r12, r12, #CODE_OWN + CODE_MORE
    cmp r10, #PAIRS_MORE
    it eq
    addeq r12, r12, #12
    ldmia r12, {r1, r2, r3}
    str r1, [sp, #ROW]
    cmp r8, #2
    ite lo
    strdlo r2, r2, [sp, #TILE]
    strhs r3, [sp, #KEPT]
    b .Lbt_row
.Lbt_long_code:
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
.Lbt_load_more_2:
    ldmia r1!, {r2-r5}
    strd r2, r3, [sp, #W_MORE]
    strd r4, r5, [sp, #W_MORE + 8]
    b .Lbt_load_0
.Lbt_load_more_1:
    ldrd r4, r5, [r1], #8
    strd r4, r5, [sp, #W_MORE + 8]
    b .Lbt_load_0
.Lbt_first_more_2:
    ldmia r0!, {r2, r3}
    ldrd r12, lr, [sp, #W_MORE]
    phase_1 1
    ldrd r12, lr, [sp, #W_MORE + 8]
    phase_2 0
    b .Lbt_pair_0
.Lbt_first_more_1:
    ldr r3, [r0], #4
    ldrd r12, lr, [sp, #W_MORE + 8]
    phase_2 1
    b .Lbt_pair_0
.Lbt_enter_more_2:
    ldmia r0!, {r2, r3}
    ldrd r12, lr, [sp, #W_MORE]
    phase_1 0
    b .Lbt_enter_more
.Lbt_enter_more_1:
    ldr r3, [r0], #4
.Lbt_enter_more:
    ldrd r12, lr, [sp, #W_MORE + 8]
    phase_2 0
    b .Lbt_pair_0
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
    .irp more, 1, 2
    .word .Lbt_load_more_\more + 1, .Lbt_first_more_\more + 1, .Lbt_enter_more_\more + 1
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

    .macro phase_1 first
    column r4, r8, r2, \first
    column r5, r9, r3, \first
    ldmia r0!, {r1, r2, r3}
    column r6, r10, r1, \first
    column r7, r11, r2, \first
    .endm

    .macro phase_2 first
    column r4, r8, r3, \first
    ldmia r0!, {r1, r2, r3}
    column r5, r9, r1, \first
    column r6, r10, r2, \first
    column r7, r11, r3, \first
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
    phase_1 \first
    .else
    phase_2 \first
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

