@ The tiles of one run of a contraction stage on cores with the DSP extension.
@
@ A tile is two rows of W times four rows of X: eight sums in r4-r7 (row m0) and r8-r11 (row m1). How the
@ 2 x k words of W are read is told by the file assembled before this one: in weights_fp.s they wait in the
@ FPU's registers, in weights_core.s each tile loads them. Its macros are
@
@   pair b, first        block b: the products of a pair of k
@   preload b            what a jump to block b needs loaded
@   places               place, destination, end of X, rounding constant and row stride
@   weights              W of this row of tiles, where places did not run
@   load_row             begins a row of tiles, W from r1; r7 is what row_code left at ROW
@   save, restore        registers of its own, SAVED_OWN bytes
@   row_code, more_code  codes and constants of the frame, for any number of pairs, for a few more than 16,
@   pass_code            and for any more
@   loads, passes        code of its own
@   codes                its addresses, from CODE_OWN on
@
@ Blocks are right-aligned: fewer than 16 pairs start at a later one. The first block of a tile takes the
@ rounding constant, r11, as the addend of all sums, so there is one of it for each number of pairs. More
@ than 16 pairs run in passes over all blocks.
@
@ What follows a tile depends on the stage; its code addresses are in the frame below and are jumped to by
@ LDR PC. No instruction depends on the data.
@
@ Arguments: r0 the stage, r1 its weights, r2 its rows, r3 the arena; on the stack its columns, its
@ destination and what happens to the accumulators (enum Accumulate of mod.rs).

    .equ COLS, 0            @ next entry of the column table, or bytes from column to column
    .equ OUT, 4             @ destination of this row of tiles, or of the next one
    .equ X_END, 8
    .equ ROUND, 12
    .equ ROW_STRIDE, 16     @ bytes
    .equ W_TILE, 20         @ W of this row of tiles
    .equ TILE, 24           @ code: a tile
    .equ LOADED, 28         @ code: after W has been loaded
    .equ X, 32              @ from here the constants of a row of tiles, loaded at once
    .equ W, 36
    .equ ROWS, 40
    .equ ROWS_END, 44
    .equ COLS_START, 48
    .equ OUT_START, 52
    .equ ROW, 56            @ what load_row wants to know: code, or bytes of W of a row of tiles
    .equ KEPT, 60           @ code: after the kept accumulators were loaded
    .equ PACK, 64           @ code: after the shift
    .equ CLAMPED, 68        @ code: after the clamp
    .equ CLAMP, 72          @ code: after packing
    .equ ACC, 76            @ next kept accumulators
    .equ FOLD, 80           @ 2^(32 - slice shift)
    .equ SUMMED, 84         @ code: after the last block
    .equ COMPLETE, 88       @ passes, code: after the last one
    .equ W_BYTES, 92        @ of W of a row of tiles
    .equ SAVED, 36 + SAVED_OWN  @ r4-r11, lr and its own: above them the arguments that have no registers

    @ struct StageRecord of program.rs
    .equ STEP_INPUT_WORD, 4
    .equ STEP_ACC_WORD, 8
    .equ STEP_ROW_STRIDE, 20
    .equ STEP_M_TILES, 32
    .equ STEP_N_TILES, 34
    .equ STEP_K_PAIRS, 36
    .equ STEP_STORE, 42
    .equ STEP_SHIFT, 43
    .equ STEP_BITS, 44
    .equ STEP_SLICE_SHIFT, 45
    .equ STEP_COL_STRIDE, 46

    @ Offsets in the table of codes.
    .equ CODE_FIRST, 0
    .equ CODE_ENTER, 64
    .equ CODE_SHIFT, 128
    .equ CODE_CLAMP, 192
    .equ CODE_LONG, 260
    .equ CODE_KEEP, 264     @ by what happens to the accumulators: 1 first, 2 next
    .equ CODE_FOLD, 276     @ and the last slice's
    .equ CODE_PACK, 284     @ by store, like the next four; 5 more where columns are evenly spaced
    .equ CODE_TOP_PACK, 316
    .equ CODE_STORE, 348
    .equ CODE_TOP_STORE, 380
    .equ CODE_PACK_STORE, 412
    .equ CODE_BOTH, 444     @ shifts by 12 to 15 and saturates to 15 bits at once
    .equ CODE_OWN, 460
    .equ EVEN, 5

    @ What `places` takes; moves to the next column.
    .macro destination is_even
    places
    .if \is_even
    add r1, r1, r2
    str r1, [sp, #OUT]
    .else
    ldrh r12, [r1], #2
    str r1, [sp, #COLS]
    add r2, r2, r12, lsl #2
    .endif
    .endm

    .macro next_tile
    cmp r0, r3
    it ne
    ldrne pc, [sp, #TILE]
    .endm

    .macro pack_pairs
    pkhbt r4, r4, r8, lsl #16
    pkhbt r5, r5, r9, lsl #16
    pkhbt r6, r6, r10, lsl #16
    pkhbt r7, r7, r11, lsl #16
    .endm

    .macro pack_rows
    pkhbt r4, r4, r5, lsl #16
    pkhbt r5, r6, r7, lsl #16
    pkhbt r6, r8, r9, lsl #16
    pkhbt r7, r10, r11, lsl #16
    .endm

    .macro top_pairs
    pkhtb r4, r8, r4, asr #16
    pkhtb r5, r9, r5, asr #16
    pkhtb r6, r10, r6, asr #16
    pkhtb r7, r11, r7, asr #16
    .endm

    .macro top_rows
    pkhtb r4, r5, r4, asr #16
    pkhtb r5, r7, r6, asr #16
    pkhtb r6, r9, r8, asr #16
    pkhtb r7, r11, r10, asr #16
    .endm

    .macro put_pairs is_even
    destination \is_even
    stmia r2, {r4-r7}
    next_tile
    b .Lbt_row
    .endm

    .macro put_columns is_even
    destination \is_even
    strd r4, r6, [r2]
    strd r5, r7, [r2, #16]
    next_tile
    b .Lbt_row
    .endm

    @ The stores of whole tiles, columns evenly spaced or by their table. Where nothing else does, frequent ones take
    @ no branch (SHORT_WAYS).
    .macro stores spaced, is_even
.Lbt_pack_store_\spaced\()pairs:
    pack_pairs
    .if SHORT_WAYS && \is_even
    put_pairs \is_even
    .else
    b .Lbt_\spaced\()pairs
    .endif
.Lbt_top_\spaced\()pairs:
    top_pairs
.Lbt_\spaced\()pairs:
    put_pairs \is_even

.Lbt_pack_store_\spaced\()columns:
    pack_rows
    .if SHORT_WAYS && \is_even
    put_columns \is_even
    .else
    b .Lbt_\spaced\()columns
    .endif
.Lbt_top_\spaced\()columns:
    top_rows
.Lbt_\spaced\()columns:
    put_columns \is_even

.Lbt_top_\spaced\()add_rows:
    top_rows
    b .Lbt_\spaced\()add_rows
.Lbt_pack_store_\spaced\()add_rows:
    pack_rows
.Lbt_\spaced\()add_rows:
    destination \is_even
    .ifeq \is_even
    ldr r12, [sp, #ROW_STRIDE]
    .endif
    ldrd r8, r9, [r2]
    qadd16 r4, r8, r4
    qadd16 r5, r9, r5
    strd r4, r5, [r2]
    add r2, r2, r12
    ldrd r8, r9, [r2]
    qadd16 r6, r8, r6
    qadd16 r7, r9, r7
    strd r6, r7, [r2]
    next_tile
    b .Lbt_row
    .endm

    @ One value of a scatter table: offset at r1 in halves from r2, 0xffff (r3) drops it.
    .macro scatter value
    ldrh r12, [r1], #2
    cmp r12, r3
    it ne
    strhne \value, [r2, r12, lsl #1]
    .endm

    .macro add_scatter value
    ldrh r12, [r1], #2
    cmp r12, r3
    add r12, r2, r12, lsl #1
    ittt ne
    ldrshne lr, [r12]
    qadd16ne lr, lr, \value
    strhne lr, [r12]
    .endm

    .macro each action
    .irp value, r4, r5, r6, r7
    \action \value
    asr \value, \value, #16
    \action \value
    .endr
    .endm

    @ A tile whose values have table entries of their own.
    .macro by_table action
    ldr r1, [sp, #COLS_START]
    ldr r2, [sp, #OUT_START]
    movw r3, #0xffff
    each \action
    str r1, [sp, #COLS_START]
    ldrd r3, r11, [sp, #X_END]
    weights
    next_tile
    b .Lbt_row
    .endm

    @ Codes by store: those with a table of columns or of all places, those with even columns.
    .macro by_store kind
    .irp store, uneven_pairs, uneven_columns, uneven_add_rows, scatter, add_scatter, even_pairs, even_columns, even_add_rows
    .word .Lbt_\kind\store + 1
    .endr
    .endm

    .section .text.bt_core_contract_tiles, "ax", %progbits
    .syntax unified
    .thumb
    .p2align 2
    .global bt_core_contract_tiles
    .type bt_core_contract_tiles, %function
    .thumb_func
bt_core_contract_tiles:
    push {r4-r11, lr}
    save
    sub sp, sp, #FRAME
    add r12, sp, #FRAME + SAVED
    mov r6, r0
    mov r7, r3
    ldmia r12, {r4, r5, r8}
    @ Places: X, W, rows, their end, columns, destination.
    ldr r0, [r6, #STEP_INPUT_WORD]
    ldrh r3, [r6, #STEP_M_TILES]
    add r12, sp, #X
    ldrb lr, [r6, #STEP_STORE]
    ldrh r9, [r6, #STEP_COL_STRIDE]
    add r0, r7, r0, lsl #2
    add r3, r2, r3, lsl #1
    @ A scatter table takes the place of rows and columns.
    cmp lr, #3
    it hs
    movhs r4, r2
    lsls r9, r9, #2
    itt ne
    movne r4, r9
    addne lr, lr, #EVEN
    stmia r12, {r0-r5}
    ldrh r9, [r6, #STEP_N_TILES]
    ldrh r10, [r6, #STEP_K_PAIRS]
    ldrb r11, [r6, #STEP_SHIFT]
    mul r9, r9, r10
    add r9, r0, r9, lsl #4
    movs r12, #1
    sub r0, r11, #1
    lsl r12, r12, r0
    strd r9, r12, [sp, #X_END]
    ldr r0, [r6, #STEP_ACC_WORD]
    add r0, r7, r0, lsl #2
    str r0, [sp, #ACC]
    ldr r0, [r6, #STEP_ROW_STRIDE]
    lsl r0, r0, #2
    str r0, [sp, #ROW_STRIDE]
    @ Codes by the number of pairs: blocks are right-aligned.
    ldr r12, =bt_core_contract_code
    rsb r7, r10, #0
    and r7, r7, #15
    add r7, r12, r7, lsl #2
    row_code
    cmp r8, #2
    ite lo
    ldrlo r0, [r7, #CODE_FIRST]
    ldrhs r0, [r12, #CODE_KEEP]
    strd r0, r0, [sp, #TILE]
    @ By store and width.
    ldrb r9, [r6, #STEP_BITS]
    add r7, r12, lr, lsl #2
    add r2, r12, r9, lsl #2
    @ Below 4 where shift and width are done at once.
    sub r5, r11, #12
    eor r0, r9, #15
    orr r5, r5, r0, lsl #8
    ldr r0, [r7, #CODE_PACK_STORE]
    cmp r5, #4
    blo .Lbt_packs
    cmp r9, #16
    it ne
    ldrne r0, [r7, #CODE_PACK]
.Lbt_packs:
    ldr r1, [r7, #CODE_STORE]
    ldr r2, [r2, #CODE_CLAMP]
    add r3, sp, #PACK
    stmia r3, {r0, r1, r2}
    @ What follows the sums: kept, or requantised.
    add r0, r12, r8, lsl #2
    sub r1, r8, #1
    cmp r1, #2
    blo .Lbt_keeps
    add r0, r12, r11, lsl #2
    sub r0, r0, #CODE_KEEP - CODE_SHIFT
    cmp r5, #4
    itt lo
    addlo r0, r12, r5, lsl #2
    addlo r0, r0, #CODE_BOTH - CODE_KEEP
    cmp r11, #16
    bne .Lbt_keeps
    cmp r9, #16
    ite ne
    addne r0, r7, #CODE_TOP_PACK - CODE_KEEP
    addeq r0, r7, #CODE_TOP_STORE - CODE_KEEP
    @ r0: CODE_KEEP before the entry.
.Lbt_keeps:
    ldr r0, [r0, #CODE_KEEP]
    ldrb r1, [r6, #STEP_SLICE_SHIFT]
    cmp r1, #0
    bne .Lbt_folds
.Lbt_go_on:
    str r0, [sp, #SUMMED]
    cmp r10, #16
    bls .Lbt_row
    more_code
    @ Many more pairs than blocks: passes.
    str r0, [sp, #COMPLETE]
    pass_code
    ldr r0, [r12, #CODE_LONG]
    str r0, [sp, #SUMMED]
    b .Lbt_row
    @ Sums of a slice begin anew, are shifted and then added to the kept ones; of the last slice, the code in
    @ r0 follows. No ending of kept sums fits: r8 says none.
.Lbt_folds:
    str r0, [sp, #KEPT]
    cmp r8, #3
    ite eq
    ldreq r0, [r12, #CODE_FOLD + 4]
    ldrne r0, [r12, #CODE_FOLD]
    movs r2, #1
    sub r3, r1, #1
    lsl r3, r2, r3
    str r3, [sp, #ROUND]
    rsb r1, r1, #32
    lsl r2, r2, r1
    str r2, [sp, #FOLD]
    rsb r1, r10, #0
    and r1, r1, #15
    ldr r1, [r12, r1, lsl #2]
    strd r1, r1, [sp, #TILE]
    movs r8, #0
    b .Lbt_go_on

.Lbt_row:
    add r12, sp, #X
    ldmia r12, {r0-r5, r7}
    cmp r2, r3
    beq .Lbt_done
    ldrh r6, [r2], #2
    str r2, [sp, #ROWS]
    add r5, r5, r6, lsl #2
    strd r4, r5, [sp, #COLS]
    ldr r11, [sp, #ROUND]
    load_row
.Lbt_done:
    add sp, sp, #FRAME
    restore
    pop {r4-r11, pc}
    .ltorg

    loads

    @ First blocks: the sums start from the rounding constant.
    .irp b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
.Lbt_first_\b:
    preload \b
    pair \b, 1
    b .Lbt_next_\b
    .endr
    @ Two pairs are too few for a jump.
.Lbt_first_14:
    preload 14
    pair 14, 1
    pair 15, 0
    ldr pc, [sp, #SUMMED]
.Lbt_first_15:
    preload 15
    pair 15, 1
    ldr pc, [sp, #SUMMED]

    @ Entries for sums that are there already.
    .irp b, 1, 2, 4, 5, 7, 8, 10, 11, 13, 14
.Lbt_enter_\b:
    preload \b
    b .Lbt_pair_\b
    .endr

    .irp b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .if \b % 3 == 0
.Lbt_enter_\b:
    .endif
.Lbt_pair_\b:
    pair \b, 0
.Lbt_next_\b:
    .endr
    ldr pc, [sp, #SUMMED]

    passes

    @ Accumulators.
.Lbt_kept:
    ldr r12, [sp, #ACC]
.Lbt_kept_next:
    weights
    ldmia r12!, {r4-r11}
    str r12, [sp, #ACC]
    ldr pc, [sp, #KEPT]
.Lbt_keep_first:
    ldr r12, [sp, #ACC]
    stmia r12!, {r4-r11}
    str r12, [sp, #ACC]
    ldrd r3, r11, [sp, #X_END]
    weights
    next_tile
    b .Lbt_row
.Lbt_keep_next:
    ldr r12, [sp, #ACC]
    ldr r3, [sp, #X_END]
    stmdb r12, {r4-r11}
    cmp r0, r3
    bne .Lbt_kept_next
    b .Lbt_row

    @ Kept sums and those of a slice, times 2^(32 - shift) over 2^32.
    .macro fold_three a, b, c
    ldmia r12, {r1, r2, r3}
    smmla r1, \a, lr, r1
    smmla r2, \b, lr, r2
    smmla r3, \c, lr, r3
    stmia r12!, {r1, r2, r3}
    .endm
    .macro fold_last_three a, b, c
    ldmia r12!, {r1, r2, r3}
    smmla \a, \a, lr, r1
    smmla \b, \b, lr, r2
    smmla \c, \c, lr, r3
    .endm
.Lbt_fold:
    ldrd r12, lr, [sp, #ACC]
    fold_three r4, r5, r6
    fold_three r7, r8, r9
    ldmia r12, {r1, r2}
    smmla r1, r10, lr, r1
    smmla r2, r11, lr, r2
    stmia r12!, {r1, r2}
    str r12, [sp, #ACC]
    ldrd r3, r11, [sp, #X_END]
    weights
    next_tile
    b .Lbt_row
.Lbt_fold_last:
    ldrd r12, lr, [sp, #ACC]
    fold_last_three r4, r5, r6
    fold_last_three r7, r8, r9
    ldmia r12!, {r1, r2}
    smmla r10, r10, lr, r1
    smmla r11, r11, lr, r2
    str r12, [sp, #ACC]
    ldr pc, [sp, #KEPT]

    @ Requantise: the top half where the shift is 16, else shift and saturate.
    .irp shift, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_shift_\shift:
    ssat r4, #16, r4, asr #\shift
    ssat r5, #16, r5, asr #\shift
    ssat r6, #16, r6, asr #\shift
    ssat r7, #16, r7, asr #\shift
    ssat r8, #16, r8, asr #\shift
    ssat r9, #16, r9, asr #\shift
    ssat r10, #16, r10, asr #\shift
    ssat r11, #16, r11, asr #\shift
    ldr pc, [sp, #PACK]
    .endr
    .irp shift, 12, 13, 14, 15
.Lbt_both_\shift:
    ssat r4, #15, r4, asr #\shift
    ssat r5, #15, r5, asr #\shift
    ssat r6, #15, r6, asr #\shift
    ssat r7, #15, r7, asr #\shift
    ssat r8, #15, r8, asr #\shift
    ssat r9, #15, r9, asr #\shift
    ssat r10, #15, r10, asr #\shift
    ssat r11, #15, r11, asr #\shift
    ldr pc, [sp, #PACK]
    .endr
.Lbt_pack_pairs:
    pack_pairs
    ldr pc, [sp, #CLAMP]
.Lbt_pack_rows:
    pack_rows
    ldr pc, [sp, #CLAMP]
.Lbt_top_pack_pairs:
    top_pairs
    ldr pc, [sp, #CLAMP]
.Lbt_top_pack_rows:
    top_rows
    ldr pc, [sp, #CLAMP]
    .irp bits, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_clamp_\bits:
    ssat16 r4, #\bits, r4
    ssat16 r5, #\bits, r5
    ssat16 r6, #\bits, r6
    ssat16 r7, #\bits, r7
    ldr pc, [sp, #CLAMPED]
    .endr

    @ Stores. What is added to z is seldom the top half, all else most often.
    stores even_, 1
    stores uneven_, 0

.Lbt_pack_store_scatter:
    pack_rows
    b .Lbt_scatter
.Lbt_top_scatter:
    top_rows
.Lbt_scatter:
    by_table scatter

.Lbt_top_add_scatter:
    top_rows
    b .Lbt_add_scatter
.Lbt_pack_store_add_scatter:
    pack_rows
.Lbt_add_scatter:
    by_table add_scatter
    .size bt_core_contract_tiles, . - bt_core_contract_tiles

    @ Code addresses, in the order of CODE_FIRST and the rest.
    .section .rodata.bt_core_contract_code, "a", %progbits
    .p2align 2
    .type bt_core_contract_code, %object
bt_core_contract_code:
    .irp b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .word .Lbt_first_\b + 1
    .endr
    .irp b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .word .Lbt_enter_\b + 1
    .endr
    .word 0
    .irp shift, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .word .Lbt_shift_\shift + 1
    .endr
    .word 0, 0
    .irp bits, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .word .Lbt_clamp_\bits + 1
    .endr
    .word 0
    .irp name, long, kept, keep_first, keep_next, fold, fold_last
    .word .Lbt_\name + 1
    .endr
    .irp code, pack, top_pack
    .irp layout, pairs, rows, rows, rows, rows, pairs, rows, rows
    .word .Lbt_\code\()_\layout + 1
    .endr
    .endr
    by_store
    by_store top_
    by_store pack_store_
    .irp shift, 12, 13, 14, 15
    .word .Lbt_both_\shift + 1
    .endr
    codes
    .size bt_core_contract_code, . - bt_core_contract_code
    .text
