@ The tiles of one run of a contraction stage on Helium.
@
@ A tile is two rows of W times four rows of X: sums in r0, r2, r4, r6 (row m0) and r8, r10, r12, lr (row
@ m1), where VMLADAV can add. Both operands lie in memory as for every other core: W with its two rows, X
@ with its four rows interleaved word by word. VLD2 and VLD4 undo that as they load, so that a register
@ holds eight values of one row: 6 loads and 8 products for 64 multiply-accumulates.
@
@ Rows of one to four whole vectors, and of one or two with a pair before them, have loops of their own for
@ frequent endings. These hold the W of the first vector (of two, where there are no more), and of the pair,
@ whose products are SMLADs: interleaved words serve them as they are, where a vector padded with zeros would take
@ twelve instructions for them. All other stages take the general loop: rows that end within a vector begin with
@ that part of it, read whole (a row has four words at least), counted in part. No instruction depends on the data.
@
@ The general loop is told all by r0, a frame as Run of mod.rs has it, which is copied to the stack; the others
@ find most in the stage's record: r0 the stage, r1 its weights, r2 its rows, r3 the arena; on the stack columns,
@ destination, code.

    .equ H_ROUND, 0         @ eight times the rounding constant
    .equ H_X, 32            @ X
    .equ H_N, 36            @ n tiles
    .equ H_W, 40            @ W of this row of tiles
    .equ H_M, 44            @ m tiles left
    .equ H_ROWS, 48         @ next entry of the row table
    .equ H_OUT, 52
    .equ H_START, 56        @ the first tile's start values; then, where sums are shifted, code: the last slice's ending
    .equ H_STEP, 60         @ bytes to the next tile's; 0: all start from the same
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
    .equ H_WIDEN, 112       @ to the left, until a value of the stage's bits fills the top of a sum
    .equ H_NARROW, 116      @ 16 less the stage's bits, negative: from the top half to the value
    .equ H_FOLD, 120        @ what sums of a slice are multiplied by: the doubled product's high half is the shifted sum
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

    @ W, and on to what follows it; or not.
    .macro h_load_w a, b, from
    vld20.32 {\a, \b}, [\from]
    vld21.32 {\a, \b}, [\from]!
    .endm

    .macro h_load_w_here a, b, from
    vld20.32 {\a, \b}, [\from]
    vld21.32 {\a, \b}, [\from]
    .endm

    @ Products of one vector, added to the sums; or by VMLADAV, where sums begin.
    .macro h_multiply a, b, by=vmladava
    \by\().s16 r0, \a, q0
    \by\().s16 r2, \a, q1
    \by\().s16 r4, \a, q2
    \by\().s16 r6, \a, q3
    \by\().s16 r8, \b, q0
    \by\().s16 r10, \b, q1
    \by\().s16 r12, \b, q2
    \by\().s16 lr, \b, q3
    .endm

    @ Products of the pair before the vectors, its W in r1 and r11, with the rounding constant of r5.
    .macro h_pair
    ldm r3!, {r0, r2, r4, r6}
    smlad r8, r11, r0, r5
    smlad r10, r11, r2, r5
    smlad r12, r11, r4, r5
    smlad lr, r11, r6, r5
    smlad r0, r1, r0, r5
    smlad r2, r1, r2, r5
    smlad r4, r1, r4, r5
    smlad r6, r1, r6, r5
    .endm

    @ Where a tile goes: r9, or lr by the table. r10 and lr are free when sums have been packed.
    .macro h_destination columns, pair
    .ifc \columns, table
    .if \pair
    ldrh lr, [r9], #2
    ldr r10, [sp, #H_ROW]
    add lr, r10, lr, lsl #2
    .else
    ldrh lr, [r11], #2
    add lr, r5, lr, lsl #2
    .endif
    .endif
    .endm

    @ Top halves, two to a word: the columns' pairs; the rows' neighbours.
    .macro h_end_pairs columns, pair, to
    pkhtb r0, r8, r0, asr #16
    pkhtb r2, r10, r2, asr #16
    pkhtb r4, r12, r4, asr #16
    pkhtb r6, lr, r6, asr #16
    h_destination \columns, \pair
    stm \to, {r0, r2, r4, r6}
    .endm

    .macro h_end_columns columns, pair, to
    pkhtb r0, r2, r0, asr #16
    pkhtb r8, r10, r8, asr #16
    pkhtb r4, r6, r4, asr #16
    pkhtb r12, lr, r12, asr #16
    h_destination \columns, \pair
    strd r0, r8, [\to]
    strd r4, r12, [\to, #16]
    .endm

    @ Any shift and any bits: what is too large saturates on its way to the top of 32 bits.
    .macro h_saturate low, high
    ldrd r0, r2, [sp, #H_WIDEN]
    vqshl.s32 \low, r0
    vqshl.s32 \high, r0
    vsri.32 \high, \low, #16
    vshl.s16 \high, r2
    .endm

    .macro h_end_any_pairs columns, pair, to
    h_sums
    h_destination \columns, \pair
    h_saturate q0, q1
    vstrw.32 q1, [\to]
    .endm

    .macro h_end_any_columns columns, pair, to
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r8, r12
    vmov q1[2], q1[0], r2, r6
    vmov q1[3], q1[1], r10, lr
    h_destination \columns, \pair
    h_saturate q0, q1
    vstr d2, [\to]
    vstr d3, [\to, #16]
    .endm

    @ The sums, row by row in q0 and q1.
    .macro h_sums
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vmov q1[2], q1[0], r8, r12
    vmov q1[3], q1[1], r10, lr
    .endm

    @ Those of a slice shifted, rounded half up and added to the kept ones at \at: q2, q3.
    .macro h_fold by, at
    vldrw.u32 q2, [\at]
    vldrw.u32 q3, [\at, #16]
    vqrdmlah.s32 q2, q0, \by
    vqrdmlah.s32 q3, q1, \by
    .endm

    .macro h_end_fold columns, pair, to
    h_sums
    .if \pair
    ldr r0, [sp, #H_FOLD]
    h_fold r0, r9
    vstrw.32 q2, [r9], #16
    vstrw.32 q3, [r9], #16
    .else
    h_fold r9, r5
    vstrw.32 q2, [r5], #16
    vstrw.32 q3, [r5], #16
    .endif
    .endm

    .macro h_end_keep columns, pair, to
    stm r5!, {r0, r2, r4, r6, r8, r10, r12, lr}
    .endm

    @ The sums of the last slice added to the kept ones, then as above, two of a column to a word.
    .macro h_end_last columns, pair, to
    h_sums
    ldr r0, [sp, #H_FOLD]
    h_fold r0, r5
    adds r5, #32
    h_saturate q2, q3
    vstrw.32 q3, [\to]
    .endm

    @ Shifted by r1, saturated to 16 bits, and added to the rows at r5 and, r9 on, r2.
    .macro h_end_add columns, pair, to
    h_sums
    vshl.s32 q0, r1
    vshl.s32 q1, r1
    vqmovnb.s32 q0, q0
    vqmovnb.s32 q1, q1
    add r2, r5, r9
    vldrh.u32 q2, [r5]
    vldrh.u32 q3, [r2]
    vqadd.s16 q2, q2, q0
    vqadd.s16 q3, q3, q1
    vstrh.32 q2, [r5]
    vstrh.32 q3, [r2]
    .endm

    @ What endings want to know of the stage at r0; the multiplier in r4 too.
    .macro h_tell_fold
    ldrb r4, [r0, #H_STEP_SLICE_SHIFT]
    mov r2, #0x80000000
    lsr r4, r2, r4
    str r4, [sp, #H_FOLD]
    .endm

    .macro h_tell_bits
    ldrb r2, [r0, #H_STEP_BITS]
    ldrb r4, [r0, #H_STEP_SHIFT]
    add r4, r4, r2
    rsb r4, r4, #32
    subs r2, #16
    strd r4, r2, [sp, #H_WIDEN]
    .endm

    @ All tiles of rows of so many whole vectors and, before them, no or one pair; columns at even distances or by
    @ the table. What stays in a register where:
    @
    @           r1            r5             r9                 r11
    @   even    W             third vector   destination        stride
    @   table   W             row's place    third vector       next column
    @   none    W             kept sums      multiplier         third vector
    @   last    W             kept sums      destination        stride
    @   add     shift         destination    row stride         stride
    @   a pair  W of m0       rounding       destination,       W of m1
    @                                        column or kept
    .macro h_loop ending, columns, vectors, pair, third, begins=vmladava
.Lbt_h_\ending\()_\columns\()_\vectors\()_\pair:
    .if \pair
    mov r9, r5
    .ifc \ending, fold
    movs r5, #0
    .else
    ldr r5, [sp, #H_ROUND]
    .endif
    .endif
    .ifc \begins, vmladav
    h_tell_fold
    .ifc \ending, fold
    mov r9, r4
    .endif
    .endif
    .ifc \ending\pair, fold1
    h_tell_fold
    .endif
    .ifc \ending, last
    h_tell_bits
    .endif
    .ifc \ending, any_pairs
    h_tell_bits
    .endif
    .ifc \ending, any_columns
    h_tell_bits
    .endif
    .ifc \ending, add
    ldr r9, [r0, #H_STEP_ROW_STRIDE]
    lsl r9, r9, #2
    ldrb r4, [r0, #H_STEP_SHIFT]
    rsb r4, r4, #0
    str r4, [sp, #H_SHIFT]
    .endif
1:
    .ifc \ending, add
    ldr r1, [sp, #H_W]
    .endif
    .if \pair
    ldr r0, [sp, #H_W]
    ldrd r1, r11, [r0], #8
    h_load_w q6, q7, r0
    .if \vectors == 2
    h_load_w q4, q5, r0
    .endif
    str r0, [sp, #H_W]
    .else
    h_load_w q6, q7, r1
    .if \vectors == 2
    h_load_w q4, q5, r1
    .endif
    .if \vectors == 3
    .ifnc \third, none
    add \third, r1, #32
    .endif
    .endif
    .endif
    .ifc \ending, add
    str r1, [sp, #H_W]
    ldr r1, [sp, #H_SHIFT]
    .endif
    .ifnc \columns, none
    ldrd r0, r2, [sp, #H_ROWS]
    ldrh r4, [r0], #2
    str r0, [sp, #H_ROWS]
    .ifc \columns, even
    .ifc \ending, add
    add r5, r2, r4, lsl #2
    .else
    add r9, r2, r4, lsl #2
    .endif
    .else
    .if \pair
    add r2, r2, r4, lsl #2
    str r2, [sp, #H_ROW]
    ldr r9, [sp, #H_COLS]
    .else
    add r5, r2, r4, lsl #2
    ldr r11, [sp, #H_COLS]
    .endif
    .endif
    .endif
    ldrd r3, r7, [sp, #H_X]
2:
    .if \pair
    h_pair
    .else
    .ifc \ending, keep
    ldm r5, {r0, r2, r4, r6, r8, r10, r12, lr}
    .else
    .ifc \begins, vmladava
    ldm sp, {r0, r2, r4, r6, r8, r10, r12, lr}
    .endif
    .endif
    .endif
    h_load_x
    h_multiply q6, q7, \begins
    .if \vectors == 2
    h_load_x
    h_multiply q4, q5
    .endif
    .if \vectors == 3
    .ifc \third, none
    h_load_x
    h_load_w q4, q5, r1
    h_multiply q4, q5
    h_load_x
    h_load_w_here q4, q5, r1
    h_multiply q4, q5
    subs r1, #32
    .else
    h_load_x
    h_load_w_here q4, q5, r1
    h_multiply q4, q5
    h_load_x
    h_load_w_here q4, q5, \third
    h_multiply q4, q5
    .endif
    .endif
    .if \vectors == 4
    h_load_x
    h_load_w q4, q5, r1
    h_multiply q4, q5
    h_load_x
    h_load_w q4, q5, r1
    h_multiply q4, q5
    h_load_x
    h_load_w_here q4, q5, r1
    h_multiply q4, q5
    subs r1, #64
    .endif
    .ifc \columns, table
    h_end_\ending \columns, \pair, lr
    .else
    h_end_\ending \columns, \pair, r9
    .endif
    .ifc \columns, even
    .ifc \ending, add
    add r5, r5, r11
    .else
    .if \pair
    ldr lr, [sp, #H_STRIDE]
    add r9, r9, lr
    .else
    add r9, r9, r11
    .endif
    .endif
    .endif
    subs r7, r7, #1
    bne 2b
    .if \vectors > 2
    adds r1, #32 * (\vectors - 1)
    .endif
    ldr r0, [sp, #H_M]
    subs r0, r0, #1
    str r0, [sp, #H_M]
    bne 1b
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
    .equ H_STEP_ROW_STRIDE, 20
    .equ H_STEP_M_TILES, 32
    .equ H_STEP_N_TILES, 34
    .equ H_STEP_SHIFT, 43
    .equ H_STEP_BITS, 44
    .equ H_STEP_SLICE_SHIFT, 45
    .equ H_STEP_COL_STRIDE, 46

    .global bt_core_helium_loops
    .type bt_core_helium_loops, %function
    .thumb_func
bt_core_helium_loops:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #H_FRAME + 4
    add r12, sp, #H_FRAME + 4 + 64 + 36
    ldm r12, {r4, r5, r6}
    ldrb r7, [r0, #H_STEP_SHIFT]
    mov r8, #1
    lsl r7, r8, r7
    lsrs r7, r7, #1
    vdup.32 q0, r7
    vstrw.32 q0, [sp]
    vstrw.32 q0, [sp, #16]
    ldr r9, [r0, #H_STEP_INPUT_WORD]
    ldrh r10, [r0, #H_STEP_N_TILES]
    ldrh r11, [r0, #H_STEP_M_TILES]
    add r9, r3, r9, lsl #2
    strd r9, r10, [sp, #H_X]
    strd r1, r11, [sp, #H_W]
    strd r2, r5, [sp, #H_ROWS]
    ldr r5, [r0, #H_STEP_ACC_WORD]
    ldrh r11, [r0, #H_STEP_COL_STRIDE]
    add r5, r3, r5, lsl #2
    lsl r11, r11, #2
    strd r11, r4, [sp, #H_STRIDE]
    bx r6

    .macro h_both ending, vectors, pair
    h_loop \ending, even, \vectors, \pair, r5
    h_loop \ending, table, \vectors, \pair, r9
    .endm

    .macro h_loops vectors, pair
    .if \pair == 0
    h_loop keep, none, \vectors, 0, r11
    .if \vectors < 3
    h_loop add, even, \vectors, 0, none
    .endif
    .endif
    .if \pair == 0
    h_loop fold, none, \vectors, 0, r11, vmladav
    h_loop last, even, \vectors, 0, none, vmladav
    .else
    h_loop fold, none, \vectors, 1, none
    .endif
    h_both pairs, \vectors, \pair
    h_both columns, \vectors, \pair
    h_both any_pairs, \vectors, \pair
    h_both any_columns, \vectors, \pair
    .endm

    .irp vectors, 1, 2, 3, 4
    h_loops \vectors, 0
    .endr
    .irp vectors, 1, 2
    h_loops \vectors, 1
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
    h_load_w q4, q5, r1
    h_multiply q4, q5
    subs r7, r7, #1
    bne 3b
    ldr pc, [sp, #H_FINISH]

.Lbt_h_fold_finish:
    h_sums
    ldrd r0, r7, [sp, #H_FOLD]
    h_fold r0, r7
    vstrw.32 q2, [r7], #16
    vstrw.32 q3, [r7], #16
    str r7, [sp, #H_KEPT]
    b .Lbt_h_next
.Lbt_h_fold_finish_last:
    h_sums
    ldrd r0, r7, [sp, #H_FOLD]
    h_fold r0, r7
    adds r7, r7, #32
    str r7, [sp, #H_KEPT]
    vmov r0, r4, q2[2], q2[0]
    vmov r2, r6, q2[3], q2[1]
    vmov r8, r12, q3[2], q3[0]
    vmov r10, lr, q3[3], q3[1]
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

    @ Code addresses: loops by a row's vectors and pair, and by ending, 0 where there is none; then the general
    @ loop; its endings.
    .section .rodata.bt_core_helium_code, "a", %progbits
    .p2align 2
    .global bt_core_helium_code
    .type bt_core_helium_code, %object
bt_core_helium_code:
    .macro h_address ending, vectors, pair
    .word .Lbt_h_\ending\()_even_\vectors\()_\pair + 1
    .word .Lbt_h_\ending\()_table_\vectors\()_\pair + 1
    .endm
    .macro h_addresses vectors, pair
    .if \pair == 0
    .word .Lbt_h_keep_none_\vectors\()_0 + 1
    .else
    .word 0
    .endif
    .word .Lbt_h_fold_none_\vectors\()_\pair + 1
    h_address pairs, \vectors, \pair
    h_address columns, \vectors, \pair
    h_address any_pairs, \vectors, \pair
    h_address any_columns, \vectors, \pair
    .if \pair == 0 && \vectors < 3
    .word .Lbt_h_add_even_\vectors\()_0 + 1
    .else
    .word 0
    .endif
    .if \pair == 0
    .word .Lbt_h_last_even_\vectors\()_0 + 1
    .else
    .word 0
    .endif
    .endm
    .irp vectors, 1, 2, 3, 4
    h_addresses \vectors, 0
    .endr
    .irp vectors, 1, 2
    h_addresses \vectors, 1
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
