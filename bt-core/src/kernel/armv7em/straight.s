@ The tiles of the most frequent stages, of up to 16 pairs of k and 16 tiles a row. Of one slice: the tops of sums, or
@ sums shifted by 13 to 15 and saturated to 15 or 16 bits, stored at even distances, or with up to 8 pairs added to rows
@ of z. Of one slice of several: sums shifted by 2 to 5 that join the kept ones. After weights_fp.s and contract.s.
@
@ What becomes of a tile and where it goes wait on the stack, pushed for a whole row of tiles at once and popped
@ tile by tile: POP {r6, r11, pc} leads from the last block to the ending with the tile's destination and the rounding
@ constant of the next one, POP {pc} from the first block, which follows the ending of the tile before, to the others.
@ So neither is looked up, and nothing asks whether the row is done. A tile that is saturated or joins kept sums has one
@ address more: POP {pc} leads from that to what stores its values, or to the next tile.
@
@ The first block takes the weights of d0, or where it has code for its number of pairs those before the others. These
@ wait right-aligned up to d15, so that which comes second depends on their number, and with it how many words of X the
@ first has to load ahead. It loads all of them at once, since registers whose sums have not begun take them: x0 to x2
@ are where their columns' sums of row m0 will be, and the constant is where the last column's sum of row m1 will be.
@ Sums of n0 to n3 are in r2, r3, r4, r1 (row m0) and r8-r11 (row m1), words of X in r5-r7. The last sum of all ends in
@ lr, so that r11 is free for the next constant.

    .equ ST_W, 4            @ next weights, next rows
    .equ ST_LOAD, 56        @ code: loads the weights
    .equ ST_FIRST, 60       @ code: the first block
    .equ ST_PAIRS, 64       @ code: pushes of two tiles
    .equ ST_FRAME, 68
    .equ ST_OUT, 100        @ above the registers that are saved: destination of row 0
    .equ ST_PUSHED, 16      @ a tile's
    .equ TS_FIRST, 16
    .equ TS_W, ST_W + ST_PUSHED
    .equ TS_CONSTANTS, 28   @ of the pushes
    .equ TS_PAIRS, 76
    .equ TS_FRAME, 80
    .equ TS_PUSHED, 20

    .equ TS_OUT, TS_FRAME + 100

    @ Offsets in the table of their codes.
    .equ TWO_STEP_ODD, 32
    .equ TWO_STEP_LOADED, 36
    .equ TWO_STEP_ROW, 40
    .equ TWO_STEP_SHIFTS, 44
    .equ TWO_STEP_SATURATE, 60      @ by store, bits from 15 on and shift from 13 on
    .equ TWO_STEP_ENDINGS, 108

    @ Offsets in the table of codes, from the entry that stages of no pairs would have.
    .equ ST_TWOS, 17 * 12
    .equ ST_ODD, ST_TWOS + 32
    .equ ST_ENDINGS, ST_ODD + 4
    .equ ST_LAST, 40        @ from a store's endings on
    .equ ST_STORE, 44       @ from store to store

    .macro straight_column a, b, x
    smlad \a, r12, \x, \a
    smlad \b, lr, \x, \b
    .endm

    @ As in weights_fp.s, with other registers; the last block ends with a whole load.
    .macro straight_pair b
    vmov r12, lr, d\b
    .if \b % 3 == 1
    ldmia r0!, {r5, r6, r7}
    straight_column r2, r8, r5
    straight_column r3, r9, r6
    straight_column r4, r10, r7
    ldmia r0!, {r5, r6, r7}
    straight_column r1, r11, r5
    .elseif \b % 3 == 2
    straight_column r2, r8, r6
    straight_column r3, r9, r7
    ldmia r0!, {r5, r6, r7}
    straight_column r4, r10, r5
    straight_column r1, r11, r6
    .else
    straight_column r2, r8, r7
    ldmia r0!, {r5, r6, r7}
    straight_column r3, r9, r5
    straight_column r4, r10, r6
    .if \b == 15
    smlad r1, r12, r7, r1
    smlad lr, lr, r7, r11
    .else
    straight_column r1, r11, r7
    .endif
    .endif
    .endm

    @ Shifts, saturates and packs a tile.
    .macro saturating store, bits, shift
.Lbt_saturating_\store\()_\bits\()_\shift:
    .irp sum, r1, r2, r3, r4, r8, r9, r10, lr
    ssat \sum, #\bits, \sum, asr #\shift
    .endr
    straight_pack_\store
    pop {pc}
    .endm
    .macro saturating_code store, bits, shift
    .word .Lbt_saturating_\store\()_\bits\()_\shift + 1
    .endm

    @ A tile whose blocks stand behind its first one: POP takes no second block's address but drops it. Its weights all
    @ wait right-aligned.
    .macro straight_through store, second, own
.Lbt_straight_\store\()_\second:
    straight_top_\store
.Lbt_saturating_put_\store\()_\second:
    straight_put_\store
.Lbt_straight_first_\store\()_\second:
    straight_first ((2*\second+1)%3), \own
    .irp b, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .if \b >= \second
    straight_pair \b
    .endif
    .endr
    pop {r5, r6, r11, pc}
    .endm

    @ A column whose word of X is where its sum of row m0 will be.
    .macro straight_begin a, b
    smlad \b, lr, \a, r11
    smlad \a, r12, \a, r11
    .endm

    .macro straight_first ahead, own=0
    vmov r12, lr, d\own
    .if \ahead == 0
    ldmia r0!, {r2, r3, r4, r5}
    .elseif \ahead == 1
    ldmia r0!, {r2, r3, r4, r5, r7}
    .else
    ldmia r0!, {r2, r3, r4, r5, r6, r7}
    .endif
    straight_begin r2, r8
    straight_begin r3, r9
    straight_begin r4, r10
    smlad r1, r12, r5, r11
    smlad r11, lr, r5, r11
    .endm

    @ Such a first block alone, of tiles stored as pairs.
    .macro straight_apart second, own
.Lbt_straight_pairs_\second:
    straight_top_pairs
.Lbt_saturating_put_pairs_\second:
    straight_put_pairs
.Lbt_straight_first_pairs_\second:
    straight_first ((2*\second+1)%3), \own
    pop {pc}
    .endm

    .macro straight_top_pairs
    pkhtb r2, r8, r2, asr #16
    pkhtb r3, r9, r3, asr #16
    pkhtb r4, r10, r4, asr #16
    pkhtb r5, lr, r1, asr #16
    .endm

    .macro straight_top_columns
    pkhtb r2, r3, r2, asr #16
    pkhtb r3, r9, r8, asr #16
    pkhtb r4, r1, r4, asr #16
    pkhtb r5, lr, r10, asr #16
    .endm

    .macro straight_pack_pairs
    pkhbt r2, r2, r8, lsl #16
    pkhbt r3, r3, r9, lsl #16
    pkhbt r4, r4, r10, lsl #16
    pkhbt r5, r1, lr, lsl #16
    .endm

    .macro straight_pack_columns
    pkhbt r2, r2, r3, lsl #16
    pkhbt r3, r8, r9, lsl #16
    pkhbt r4, r4, r1, lsl #16
    pkhbt r5, r10, lr, lsl #16
    .endm

    .macro straight_put_pairs
    stmia r6!, {r2-r5}
    .endm

    .macro straight_put_columns
    strd r2, r3, [r6]
    strd r4, r5, [r6, #16]
    .endm

    @ Rows of z: packed as columns, and added. s2 are the words from one row to the other.
    .macro straight_top_rows
    straight_top_columns
    .endm

    .macro straight_put_rows
    vmov r7, s2
    ldrd r8, r9, [r6]
    qadd16 r2, r8, r2
    qadd16 r4, r9, r4
    strd r2, r4, [r6]
    add r6, r6, r7, lsl #2
    ldrd r8, r9, [r6]
    qadd16 r3, r8, r3
    qadd16 r5, r9, r5
    strd r3, r5, [r6]
    .endm

    @ r0 the stage, r1 its weights, r2 its rows, r3 the arena; on the stack its destination.
    .section .text.bt_core_straight, "ax", %progbits
    .p2align 2
    .global bt_core_straight
    .type bt_core_straight, %function
    .thumb_func
bt_core_straight:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldr r12, =.Lbt_straight_codes - 24
    ldrb r10, [r0, #STEP_STORE]
    ldrh r11, [r0, #STEP_COL_STRIDE]
    ldrh r7, [r0, #STEP_N_TILES]
    ldrh r8, [r0, #STEP_M_TILES]
    ldrh r6, [r0, #STEP_K_PAIRS]
    vldr s2, [r0, #STEP_ROW_STRIDE]
    ldr r0, [r0, #STEP_INPUT_WORD]
    ldr lr, [sp, #ST_OUT]
    add r0, r3, r0, lsl #2
    add r8, r2, r8, lsl #1
    sub r7, r7, #1
    lsl r11, r11, #2
    mla r4, r7, r11, lr
    @ By the number of pairs; r6 becomes the offset of its ending and its first block.
    add r6, r6, r6, lsl #1
    add r6, r12, r6, lsl #2
    ldmia r6, {r3, r5, r6}
    @ By the tiles beside one: pushes.
    lsrs r7, r7, #1
    add r9, r12, r7, lsl #2
    ldr lr, [r9, #ST_TWOS]
    @ By the store.
    mov r9, #ST_STORE
    mla r10, r10, r9, r12
    add r6, r6, r10
    ldrd r6, r9, [r6, #ST_ENDINGS]
    push {r5, r9, lr}
    it cs
    ldrcs lr, [r12, #ST_ODD]
    ldr r12, [r10, #ST_ENDINGS + ST_LAST]
    mov r5, #0x8000
    mov r7, r3
    mov r9, r5
    mov r10, r6
    push {r0-r12, lr}
    @ It is the first row; there is one.
    b .Lbt_straight_begin

    @ r0 X, r1 W, r2 rows and r8 their end, r4 destination of the last tile of row 0, r11 bytes from tile to tile, lr
    @ code that pushes. Pushed for each tile: r3, r7 the code of the second block, its destination in r4 and r8, r5 and
    @ r9 the rounding constant, r6 and r10 its ending; r12 that of the last tile, then the first block.
.Lbt_straight_row:
    ldmia sp, {r0-r12, lr}
    cmp r2, r8
    beq .Lbt_straight_done
.Lbt_straight_begin:
    ldrh r8, [r2], #2
    add r8, r4, r8, lsl #2
    push {r7, r8, r9, r12}
    sub r8, r8, r11
    ldr r12, [sp, #ST_PUSHED + ST_FIRST]
    ldr pc, [sp, #ST_PUSHED + ST_LOAD]
    .irp b, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_straight_load_\b:
    vldmia r1!, {d0}
    vldmia r1!, {d\b-d15}
    strd r1, r2, [sp, #ST_PUSHED + ST_W]
    bx lr
    .endr
    .macro straight_load_all name, first
.Lbt_straight_load_\name:
    vldmia r1!, {d\first-d15}
    strd r1, r2, [sp, #ST_PUSHED + ST_W]
    bx lr
    .endm
    straight_load_all 1, 0
    straight_load_all apart_7, 6
    straight_load_all apart_8, 7
    @ An odd one, then two at a time.
.Lbt_straight_odd:
    push {r7-r10}
    sub r8, r8, r11
    ldr pc, [sp, #2 * ST_PUSHED + ST_PAIRS]
    .irp twos, 7, 6, 5, 4, 3, 2, 1
.Lbt_straight_twos_\twos:
    sub r4, r8, r11
    push {r3-r10}
    sub r8, r4, r11
    .endr
.Lbt_straight_twos_0:
    mov r11, r5
    bx r12

.Lbt_straight_done:
    add sp, sp, #ST_FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
    .ltorg

    .irp b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_straight_pair_\b:
    straight_pair \b
    .endr
    pop {r6, r11, pc}

    .irp store, pairs, columns, rows
    .irp ahead, 0, 1, 2
.Lbt_straight_\store\()_\ahead:
    straight_top_\store
.Lbt_saturating_put_\store\()_\ahead:
    straight_put_\store
.Lbt_straight_first_\store\()_\ahead:
    straight_first \ahead
    pop {pc}
    .endr
.Lbt_straight_last_\store:
    straight_top_\store
    straight_put_\store
    b .Lbt_straight_row
.Lbt_saturating_last_\store:
    straight_put_\store
    b .Lbt_saturating_row
    .endr
    .irp store, pairs, columns
    .irp bits, 15, 16
    .irp shift, 13, 14, 15
    saturating \store, \bits, \shift
    .endr
    .endr
    .endr
    @ What is most frequent of all: rows of 10 and of 9 pairs, modes of about 20, of which the next stage sums over n.
    straight_through columns, 7, 6
    straight_through columns, 8, 7
    straight_apart 7, 6
    straight_apart 8, 7
    .irp shift, 2, 3, 4, 5
.Lbt_folding_\shift:
    ldmia r6!, {r5, r7, r12}
    add r2, r5, r2, asr #\shift
    add r3, r7, r3, asr #\shift
    add r4, r12, r4, asr #\shift
    ldmia r6!, {r5, r7, r12}
    add r5, r5, r1, asr #\shift
    add r8, r7, r8, asr #\shift
    add r9, r12, r9, asr #\shift
    ldmia r6!, {r7, r12}
    add r10, r7, r10, asr #\shift
    add r12, r12, lr, asr #\shift
    stmdb r6, {r2-r5, r8-r10, r12}
    pop {pc}
    .endr
    .size bt_core_straight, . - bt_core_straight

    @ Rows of tiles that are saturated: r0 the stage, r1 its weights, r2 its rows, r3 the arena; on the stack its
    @ destination. Of a row r1 W, r2 rows and r3 their end, r4 destination of the last tile of row 0, r5 code
    @ that loads W and goes on at lr. Then r0 X, r11 bytes from tile to tile, lr code that pushes. Pushed for each tile:
    @ r1, r6 the code of the second block, its destination in r2 and r7, r3 and r8 the rounding constant, r4 and r9 what
    @ saturates it, r5 and r10 what stores it; r12 what stores the last tile, then the first block.
    .global bt_core_saturating
    .type bt_core_saturating, %function
    .thumb_func
bt_core_saturating:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #TS_FRAME
    ldr lr, =.Lbt_straight_codes - 24
    ldrh r4, [r0, #STEP_K_PAIRS]
    ldrb r7, [r0, #STEP_STORE]
    ldrb r8, [r0, #STEP_SHIFT]
    ldrb r9, [r0, #STEP_BITS]
    vldr s2, [r0, #STEP_ROW_STRIDE]
    @ By the number of pairs: r10 the second block, r11 what loads W, r12 the offset of the ending.
    add r4, r4, r4, lsl #1
    add r4, lr, r4, lsl #2
    ldmia r4, {r10, r11, r12}
    @ By the store: r4 what stores the last tile, r8 the others, r12 the first block; r7 what saturates, r9 half of the
    @ shift.
    ldr lr, =.Lbt_two_step_codes
    mov r4, #ST_STORE
    mla r4, r7, r4, lr
    add r12, r12, r4
    cmp r7, #1
    it hs
    movhs r7, #6
    add r7, r7, r9
    add r7, r7, r9, lsl #1
    add r7, r7, r8
    add r7, lr, r7, lsl #2
    ldr r7, [r7, #TWO_STEP_SATURATE - 4 * (3 * 15 + 13)]
    sub r8, r8, #1
    mov r9, #1
    lsl r9, r9, r8
    ldr r4, [r4, #TWO_STEP_ENDINGS + ST_LAST]
    ldrd r8, r12, [r12, #TWO_STEP_ENDINGS]
    strd r10, r9, [sp, #32]
    strd r7, r8, [sp, #40]
    strd r10, r9, [sp, #48]
    strd r7, r8, [sp, #56]
    strd r12, r1, [sp, #16]
    ldr r7, [lr, #TWO_STEP_LOADED]
    ldr r8, [r0, #STEP_INPUT_WORD]
    ldrh r9, [r0, #STEP_COL_STRIDE]
    ldrh r5, [r0, #STEP_N_TILES]
    ldrh r6, [r0, #STEP_M_TILES]
    strd r11, r7, [sp, #8]
    add r8, r3, r8, lsl #2
    strd r2, r8, [sp, #24]
    lsl r9, r9, #2
    strd r9, r4, [sp, #64]
    sub r5, r5, #1
    ldr r8, [sp, #TS_OUT]
    mla r8, r5, r9, r8
    add r6, r2, r6, lsl #1
    strd r6, r8, [sp]
    @ By the tiles beside one: pushes.
    lsrs r5, r5, #1
    ldr r7, [lr, r5, lsl #2]
    ldr r8, [lr, #TWO_STEP_ODD]
    it cc
    movcc r8, r7
    strd r8, r7, [sp, #72]
.Lbt_saturating_row:
    ldmia sp, {r3-r5, lr}
    ldrd r1, r2, [sp, #TS_W]
    cmp r2, r3
    beq .Lbt_two_step_done
    ldrh r7, [r2], #2
    add r7, r4, r7, lsl #2
    bx r5
.Lbt_two_step_loaded:
    add lr, sp, #TS_CONSTANTS
    ldmia lr, {r0, r1, r3-r6, r8-r12, lr}
    push {r6-r9, r12}
    sub r7, r7, r11
    ldr r12, [sp, #TS_PUSHED + TS_FIRST]
    bx lr
.Lbt_two_step_odd:
    push {r6-r10}
    sub r7, r7, r11
    ldr pc, [sp, #2 * TS_PUSHED + TS_PAIRS]
    .irp twos, 7, 6, 5, 4, 3, 2, 1
.Lbt_two_step_twos_\twos:
    sub r2, r7, r11
    push {r1-r10}
    sub r7, r2, r11
    .endr
.Lbt_two_step_twos_0:
    mov r11, r3
    bx r12

.Lbt_two_step_done:
    add sp, sp, #TS_FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
    .ltorg
    .size bt_core_saturating, . - bt_core_saturating

    @ r0 the stage, r1 its weights, r2 the arena. The frame is as above but for these: for rows the last tile's kept
    @ sums, for their end the same behind the last row, for the destination bytes of a row of them; for what saturates a
    @ tile what joins them, for what stores it the next tile's first block, for what stores the last one the next row.
    .global bt_core_folding
    .type bt_core_folding, %function
    .thumb_func
bt_core_folding:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldr lr, =.Lbt_straight_codes - 24
    ldrh r3, [r0, #STEP_K_PAIRS]
    ldrh r5, [r0, #STEP_N_TILES]
    ldrh r6, [r0, #STEP_M_TILES]
    ldrb r7, [r0, #STEP_SLICE_SHIFT]
    ldr r8, [r0, #STEP_ACC_WORD]
    ldr r9, [r0, #STEP_INPUT_WORD]
    @ By the number of pairs: r10 the second block, r11 what loads W, r4 the first block.
    add r3, r3, r3, lsl #1
    add r3, lr, r3, lsl #2
    ldmia r3, {r10, r11, r12}
    add r12, r12, lr
    ldr r4, [r12, #ST_ENDINGS + 4]
    @ By tiles and shift: r0 pushes of two tiles, lr of the others, r12 what joins kept sums; r2 half of the shift.
    ldr r3, =.Lbt_two_step_codes
    add r9, r2, r9, lsl #2
    add r8, r2, r8, lsl #2
    add r12, r3, r7, lsl #2
    ldr r12, [r12, #TWO_STEP_SHIFTS - 8]
    mov r2, #1
    sub r7, r7, #1
    lsl r2, r2, r7
    sub lr, r5, #1
    lsrs lr, lr, #1
    ldr r0, [r3, lr, lsl #2]
    ldr lr, [r3, #TWO_STEP_ODD]
    it cc
    movcc lr, r0
    strd lr, r0, [sp, #-8]!
    mov r0, #32
    ldr lr, [r3, #TWO_STEP_ROW]
    strd r0, lr, [sp, #-8]!
    strd r12, r4, [sp, #-8]!
    strd r10, r2, [sp, #-8]!
    strd r12, r4, [sp, #-8]!
    strd r10, r2, [sp, #-8]!
    @ r5 bytes of a row of kept sums, r8 those of the last tile of row 0, r6 behind the last row; r9 X.
    lsl r5, r5, #5
    add r8, r8, r5
    sub r8, r8, #32
    mla r6, r6, r5, r8
    ldr r2, [r3, #TWO_STEP_LOADED]
    strd r8, r9, [sp, #-8]!
    strd r4, r1, [sp, #-8]!
    strd r11, r2, [sp, #-8]!
    strd r6, r5, [sp, #-8]!
.Lbt_folding_row:
    ldmia sp, {r3-r5, lr}
    ldrd r1, r2, [sp, #TS_W]
    cmp r2, r3
    beq .Lbt_two_step_done
    mov r7, r2
    add r2, r2, r4
    bx r5
    .ltorg
    .size bt_core_folding, . - bt_core_folding

    @ Code addresses: by pairs of k, the second block, what loads W, the offset of the ending by the words of X that the
    @ second block expects to be there, or of those that have their own; pushes; by store, the tile's ending and the first
    @ block, the last tile's ending.
    .section .rodata.bt_core_straight_codes, "a", %progbits
    .p2align 2
    .type .Lbt_straight_codes, %object
.Lbt_straight_codes:
    .irp b, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1
    .word .Lbt_straight_pair_\b + 1
    .if \b == 7
    .word .Lbt_straight_load_apart_7 + 1, 24
    .elseif \b == 8
    .word .Lbt_straight_load_apart_8 + 1, 32
    .else
    .word .Lbt_straight_load_\b + 1, 8 * ((2 * \b + 1) % 3)
    .endif
    .endr
    .irp twos, 0, 1, 2, 3, 4, 5, 6, 7
    .word .Lbt_straight_twos_\twos + 1
    .endr
    .word .Lbt_straight_odd + 1
    .macro straight_codes store, endings:vararg
    .irp ending, \endings
    .word .Lbt_straight_\store\()_\ending + 1, .Lbt_straight_first_\store\()_\ending + 1
    .endr
    .word .Lbt_straight_last_\store + 1
    .endm
    straight_codes pairs, 0, 1, 2, 7, 8
    straight_codes columns, 0, 1, 2, 7, 8
    @ No rows of z have 9 or 10 pairs here.
    straight_codes rows, 0, 1, 2, 0, 2
    .size .Lbt_straight_codes, . - .Lbt_straight_codes

    @ Of tiles that are saturated or join kept sums: pushes, what goes on when the weights are loaded, the next row of a
    @ slice; by shift what joins a tile; what saturates it; and as above what stores it.
    .section .rodata.bt_core_two_step_codes, "a", %progbits
    .p2align 2
    .type .Lbt_two_step_codes, %object
.Lbt_two_step_codes:
    .irp twos, 0, 1, 2, 3, 4, 5, 6, 7
    .word .Lbt_two_step_twos_\twos + 1
    .endr
    .word .Lbt_two_step_odd + 1, .Lbt_two_step_loaded + 1, .Lbt_folding_row + 1
    .irp shift, 2, 3, 4, 5
    .word .Lbt_folding_\shift + 1
    .endr
    .irp store, pairs, columns
    .irp bits, 15, 16
    .irp shift, 13, 14, 15
    saturating_code \store, \bits, \shift
    .endr
    .endr
    .endr
    .macro two_step_codes store, endings:vararg
    .irp ending, \endings
    .word .Lbt_saturating_put_\store\()_\ending + 1, .Lbt_straight_first_\store\()_\ending + 1
    .endr
    .word .Lbt_saturating_last_\store + 1
    .endm
    two_step_codes pairs, 0, 1, 2, 7, 8
    two_step_codes columns, 0, 1, 2, 7, 8
    two_step_codes rows, 0, 1, 2, 0, 2
    .size .Lbt_two_step_codes, . - .Lbt_two_step_codes
    .text
