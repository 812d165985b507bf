@ The tiles of one run of a contraction stage on Helium.
@
@ A tile is two rows of W times four rows of X: sums in r0, r2, r4, r6 (row m0) and r8, r10, r12, lr (row
@ m1), where VMLADAV can add. Both operands lie in memory as for every other core: W with its two rows, X
@ with its four rows interleaved word by word. VLD2 and VLD4 undo that as they load, so that a register
@ holds eight values of one row: 6 loads and 8 products for 64 multiply-accumulates.
@
@ Rows of one to four whole vectors with a frequent ending have loops of their own, which hold the W of the
@ first vector (of two, where there are no more). All other stages take the general loop: rows that end
@ within a vector begin with that part of it, read whole (a row has four words at least), counted in part.
@ No instruction depends on the data.
@
@ The general loop is told all by r0, a frame as Run of mod.rs has it, which is copied to the stack; the others
@ find most in the stage's record: r0 the stage, r1 its weights, r2 its rows, r3 the arena; on the stack columns,
@ destination, code, rounding constant, and by how much sums of a slice are shifted or 16 bits exceed the stage's.

    .equ H_ROUND, 0         @ eight times the rounding constant
    .equ H_X, 32            @ X
    .equ H_W, 36            @ W of this row of tiles
    .equ H_START, 40        @ the first tile's start values; then, where sums are shifted, code: the last slice's ending
    .equ H_STEP, 44         @ bytes to the next tile's; 0: all start from the same
    .equ H_ROWS, 48         @ next entry of the row table
    .equ H_OUT, 52
    .equ H_N, 56            @ n tiles
    .equ H_M, 60            @ m tiles left
    .equ H_STRIDE, 64       @ bytes from column to column; 0: by the table
    .equ H_COLS, 68         @ the column table, or 0
    .equ H_NEXT_COL, 72     @ its next entry
    .equ H_ROW, 76          @ destination of this row of tiles
    .equ H_ROW_STRIDE, 80   @ bytes from row m0 to m1, of stores that add
    .equ H_SHIFT, 84        @ to the left: negative
    .equ H_MOST, 88         @ largest value of the stage's bits
    .equ H_LEAST, 92
    .equ H_VECTORS, 96      @ whole vectors of a row
    .equ H_PART, 100        @ words of a row before them
    .equ H_FINISH, 104      @ code: the ending of the general loop
    .equ H_ENTRY, 108       @ code: the loop
    .equ H_WIDEN, 112       @ 16 less the stage's bits
    .equ H_NARROW, 116      @ that to the right: negative
    .equ H_FOLD, 120        @ shift of the sums of a slice, to the left: negative (of the loops in H_NARROW)
    .equ H_KEPT, 124        @ next kept sums of the general loop that shifts
    .equ H_FRAME, 128
    .equ H_TILES, 128       @ n tiles left, beside the copy

    .cpu cortex-m55
    .syntax unified
    .thumb

    .macro h_load_x
    vld40.32 {q0, q1, q2, q3}, [r3]
    vld41.32 {q0, q1, q2, q3}, [r3]
    vld42.32 {q0, q1, q2, q3}, [r3]
    vld43.32 {q0, q1, q2, q3}, [r3]!
    .endm

    .macro h_load_w a, b
    vld20.32 {\a, \b}, [r1]
    vld21.32 {\a, \b}, [r1]!
    .endm

    .macro h_multiply a, b
    vmladava.s16 r0, \a, q0
    vmladava.s16 r2, \a, q1
    vmladava.s16 r4, \a, q2
    vmladava.s16 r6, \a, q3
    vmladava.s16 r8, \b, q0
    vmladava.s16 r10, \b, q1
    vmladava.s16 r12, \b, q2
    vmladava.s16 lr, \b, q3
    .endm

    @ Top halves, two to a word: the columns' pairs; the rows' neighbours.
    .macro h_end_pairs
    pkhtb r0, r8, r0, asr #16
    pkhtb r2, r10, r2, asr #16
    pkhtb r4, r12, r4, asr #16
    pkhtb r6, lr, r6, asr #16
    stm r9, {r0, r2, r4, r6}
    .endm

    .macro h_end_columns
    pkhtb r0, r2, r0, asr #16
    pkhtb r8, r10, r8, asr #16
    pkhtb r4, r6, r4, asr #16
    pkhtb r12, lr, r12, asr #16
    strd r0, r8, [r9]
    strd r4, r12, [r9, #16]
    .endm

    @ The same, saturated to fewer bits.
    .macro h_saturate
    ldrd r0, r2, [sp, #H_WIDEN]
    vsri.32 q1, q0, #16
    vqshl.s16 q1, r0
    vshl.s16 q1, r2
    .endm

    .macro h_end_short_pairs
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vmov q1[2], q1[0], r8, r12
    vmov q1[3], q1[1], r10, lr
    h_saturate
    vstrw.32 q1, [r9]
    .endm

    .macro h_end_short_columns
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r8, r12
    vmov q1[2], q1[0], r2, r6
    vmov q1[3], q1[1], r10, lr
    h_saturate
    vstr d2, [r9]
    vstr d3, [r9, #16]
    .endm

    @ The sums, row by row in q0 and q1.
    .macro h_sums
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vmov q1[2], q1[0], r8, r12
    vmov q1[3], q1[1], r10, lr
    .endm

    @ Those of a slice shifted by \by and added to the kept ones at \at.
    .macro h_fold by, at
    vshl.s32 q0, \by
    vshl.s32 q1, \by
    vldrw.u32 q2, [\at]
    vldrw.u32 q3, [\at, #16]
    vadd.i32 q0, q0, q2
    vadd.i32 q1, q1, q3
    .endm

    .macro h_end_fold
    h_sums
    h_fold r9, r5
    vstrw.32 q0, [r5], #16
    vstrw.32 q1, [r5], #16
    .endm

    .macro h_end_keep
    stm r5!, {r0, r2, r4, r6, r8, r10, r12, lr}
    .endm

    @ All tiles of rows of so many whole vectors; columns at even distances or by the table. Sums that are
    @ kept are read and written at r5, others start from the constants, and r5 is the row's destination.
    .macro h_loop ending, columns, vectors
.Lbt_h_\ending\()_\columns\()_\vectors:
    ldr r1, [sp, #H_W]
    h_load_w q6, q7
    .if \vectors == 2
    h_load_w q4, q5
    .endif
    .if \vectors > 2
    str r1, [sp, #H_W]
    .endif
    .ifc \ending, fold
    ldr r9, [sp, #H_NARROW]
    .endif
    .ifnc \columns, none
    ldrd r0, r2, [sp, #H_ROWS]
    ldrh r4, [r0], #2
    str r0, [sp, #H_ROWS]
    .ifc \columns, table
    ldr r11, [sp, #H_COLS]
    add r5, r2, r4, lsl #2
    .else
    add r9, r2, r4, lsl #2
    .endif
    .endif
    ldr r3, [sp, #H_X]
    ldr r7, [sp, #H_N]
1:
    .if \vectors > 2
    ldr r1, [sp, #H_W]
    .endif
    .ifc \columns, table
    ldrh r0, [r11], #2
    add r9, r5, r0, lsl #2
    .endif
    .ifc \ending, keep
    ldm r5, {r0, r2, r4, r6, r8, r10, r12, lr}
    .else
    ldm sp, {r0, r2, r4, r6, r8, r10, r12, lr}
    .endif
    h_load_x
    h_multiply q6, q7
    .if \vectors >= 2
    h_load_x
    .if \vectors > 2
    h_load_w q4, q5
    .endif
    h_multiply q4, q5
    .endif
    .if \vectors > 2
    .rept \vectors - 2
    h_load_x
    h_load_w q4, q5
    h_multiply q4, q5
    .endr
    .endif
    h_end_\ending
    .ifc \columns, even
    add r9, r9, r11
    .endif
    subs r7, r7, #1
    bne 1b
    str r1, [sp, #H_W]
    ldr r0, [sp, #H_M]
    subs r0, r0, #1
    str r0, [sp, #H_M]
    bne .Lbt_h_\ending\()_\columns\()_\vectors
    b .Lbt_h_done
    .endm

    .section .text.bt_core_helium_contract, "ax", %progbits
    .p2align 2
    .global bt_core_helium_contract
    .type bt_core_helium_contract, %function
    .thumb_func
bt_core_helium_contract:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #H_FRAME + 4
    mov r12, sp
    .rept 4
    ldm r0!, {r1-r8}
    stm r12!, {r1-r8}
    .endr
    ldr r5, [sp, #H_START]
    ldr r11, [sp, #H_STRIDE]
    ldr pc, [sp, #H_ENTRY]

    .size bt_core_helium_contract, . - bt_core_helium_contract

    @ struct StageRecord of program.rs
    .equ H_STEP_INPUT_WORD, 4
    .equ H_STEP_ACC_WORD, 8
    .equ H_STEP_M_TILES, 32
    .equ H_STEP_N_TILES, 34
    .equ H_STEP_COL_STRIDE, 46

    .global bt_core_helium_loops
    .type bt_core_helium_loops, %function
    .thumb_func
bt_core_helium_loops:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #H_FRAME + 4
    add r12, sp, #H_FRAME + 4 + 64 + 36
    ldm r12, {r4, r5, r6, r7, r8}
    vdup.32 q0, r7
    vstrw.32 q0, [sp]
    vstrw.32 q0, [sp, #16]
    ldr r9, [r0, #H_STEP_INPUT_WORD]
    ldrh r10, [r0, #H_STEP_N_TILES]
    ldrh r11, [r0, #H_STEP_M_TILES]
    add r9, r3, r9, lsl #2
    rsb r7, r8, #0
    strd r9, r1, [sp, #H_X]
    strd r2, r5, [sp, #H_ROWS]
    strd r10, r11, [sp, #H_N]
    strd r8, r7, [sp, #H_WIDEN]
    str r4, [sp, #H_COLS]
    ldr r5, [r0, #H_STEP_ACC_WORD]
    ldrh r11, [r0, #H_STEP_COL_STRIDE]
    add r5, r3, r5, lsl #2
    lsls r11, r11, #2
    bx r6

    .macro h_both ending, vectors
    h_loop \ending, even, \vectors
    h_loop \ending, table, \vectors
    .endm

    .irp vectors, 1, 2, 3, 4
    h_loop keep, none, \vectors
    h_loop fold, none, \vectors
    h_both pairs, \vectors
    h_both columns, \vectors
    h_both short_pairs, \vectors
    h_both short_columns, \vectors
    .endr

.Lbt_h_done:
    add sp, sp, #H_FRAME + 4
    vpop {d8-d15}
    pop {r4-r11, pc}

    @ Any other stage. q6, q7: the ends of the range.
.Lbt_h_fold_general:
    mov r5, sp
.Lbt_h_general:
    ldrd r0, r2, [sp, #H_MOST]
    vdup.32 q6, r0
    vdup.32 q7, r2
    ldr r0, [sp, #H_PART]
    vctp.32 r0
.Lbt_h_row:
    ldrd r0, r2, [sp, #H_ROWS]
    ldrh r4, [r0], #2
    str r0, [sp, #H_ROWS]
    add r9, r2, r4, lsl #2
    ldr r0, [sp, #H_COLS]
    strd r0, r9, [sp, #H_NEXT_COL]
    ldr r3, [sp, #H_X]
    ldr r7, [sp, #H_N]
.Lbt_h_tile:
    str r7, [sp, #H_TILES]
    ldr r0, [sp, #H_NEXT_COL]
    cbz r0, 1f
    ldrh r2, [r0], #2
    ldr r4, [sp, #H_ROW]
    str r0, [sp, #H_NEXT_COL]
    add r9, r4, r2, lsl #2
1:
    ldr r1, [sp, #H_W]
    ldr r0, [sp, #H_STEP]
    mov r2, r5
    add r5, r5, r0
    ldr r7, [sp, #H_PART]
    ldm r2, {r0, r2, r4, r6, r8, r10, r12, lr}
    cbz r7, 2f
    vld40.32 {q0, q1, q2, q3}, [r3]
    vld41.32 {q0, q1, q2, q3}, [r3]
    vld42.32 {q0, q1, q2, q3}, [r3]
    vld43.32 {q0, q1, q2, q3}, [r3]
    vld20.32 {q4, q5}, [r1]
    vld21.32 {q4, q5}, [r1]
    add r3, r3, r7, lsl #4
    add r1, r1, r7, lsl #3
    vpstttt
    vmladavat.s16 r0, q4, q0
    vmladavat.s16 r2, q4, q1
    vmladavat.s16 r4, q4, q2
    vmladavat.s16 r6, q4, q3
    vpstttt
    vmladavat.s16 r8, q5, q0
    vmladavat.s16 r10, q5, q1
    vmladavat.s16 r12, q5, q2
    vmladavat.s16 lr, q5, q3
2:
    ldr r7, [sp, #H_VECTORS]
3:
    h_load_x
    h_load_w q4, q5
    h_multiply q4, q5
    subs r7, r7, #1
    bne 3b
    ldr pc, [sp, #H_FINISH]

.Lbt_h_fold_finish:
    h_sums
    ldrd r0, r7, [sp, #H_FOLD]
    h_fold r0, r7
    vstrw.32 q0, [r7], #16
    vstrw.32 q1, [r7], #16
    str r7, [sp, #H_KEPT]
    b .Lbt_h_next
.Lbt_h_fold_finish_last:
    h_sums
    ldrd r0, r7, [sp, #H_FOLD]
    h_fold r0, r7
    adds r7, r7, #32
    str r7, [sp, #H_KEPT]
    vmov r0, r4, q0[2], q0[0]
    vmov r2, r6, q0[3], q0[1]
    vmov r8, r12, q1[2], q1[0]
    vmov r10, lr, q1[3], q1[1]
    ldr pc, [sp, #H_START]

.Lbt_h_finish_keep:
    sub r7, r5, #32
    stm r7, {r0, r2, r4, r6, r8, r10, r12, lr}
    b .Lbt_h_next

    @ Shifts and saturates the sums in q0 and q1.
    .macro h_requantize
    ldr r0, [sp, #H_SHIFT]
    vshl.s32 q0, r0
    vshl.s32 q1, r0
    vmin.s32 q0, q0, q6
    vmin.s32 q1, q1, q6
    vmax.s32 q0, q0, q7
    vmax.s32 q1, q1, q7
    .endm

    .macro h_rows
    h_sums
    h_requantize
    .endm

.Lbt_h_finish_pairs:
    h_rows
    vsli.32 q0, q1, #16
    vstrw.32 q0, [r9]
    b .Lbt_h_next

.Lbt_h_finish_columns:
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r8, r12
    vmov q1[2], q1[0], r2, r6
    vmov q1[3], q1[1], r10, lr
    h_requantize
    vsli.32 q0, q1, #16
    vstr d0, [r9]
    vstr d1, [r9, #16]
    b .Lbt_h_next

.Lbt_h_finish_add:
    h_rows
    ldr r0, [sp, #H_ROW_STRIDE]
    mov r2, r9
    add r0, r0, r9
    vldrh.s32 q2, [r2]
    vadd.i32 q0, q0, q2
    vqmovnb.s32 q0, q0
    vstrh.32 q0, [r2]
    vldrh.s32 q3, [r0]
    vadd.i32 q1, q1, q3
    vqmovnb.s32 q1, q1
    vstrh.32 q1, [r0]

.Lbt_h_next:
    add r9, r9, r11
    ldr r7, [sp, #H_TILES]
    subs r7, r7, #1
    bne .Lbt_h_tile
    str r1, [sp, #H_W]
    ldr r0, [sp, #H_M]
    subs r0, r0, #1
    str r0, [sp, #H_M]
    bne .Lbt_h_row
    b .Lbt_h_done
    .size bt_core_helium_loops, . - bt_core_helium_loops

    @ Code addresses: loops by vectors of a row and ending, then the general loop; its endings.
    .section .rodata.bt_core_helium_code, "a", %progbits
    .p2align 2
    .global bt_core_helium_code
    .type bt_core_helium_code, %object
bt_core_helium_code:
    .macro h_address ending, vectors
    .word .Lbt_h_\ending\()_even_\vectors + 1
    .word .Lbt_h_\ending\()_table_\vectors + 1
    .endm
    .irp vectors, 1, 2, 3, 4
    .word .Lbt_h_keep_none_\vectors + 1
    .word .Lbt_h_fold_none_\vectors + 1
    h_address pairs, \vectors
    h_address columns, \vectors
    h_address short_pairs, \vectors
    h_address short_columns, \vectors
    .endr
    .word .Lbt_h_general + 1
    .irp finish, keep, pairs, columns, add
    .word .Lbt_h_finish_\finish + 1
    .endr
    .irp fold, general, finish, finish_last
    .word .Lbt_h_fold_\fold + 1
    .endr
    .size bt_core_helium_code, . - bt_core_helium_code
    .text
