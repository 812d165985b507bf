@ The tiles of the most frequent stages: up to 16 pairs of k and 16 tiles a row, one slice, sums' tops, or sums shifted
@ by 12 to 15 and saturated to 15 bits, stored at even distances. After weights_fp.s, whose blocks these are, and contract.s.
@
@ What becomes of a tile and where it goes wait on the stack, pushed for a whole row of tiles at once and popped
@ tile by tile: POP {r2, pc} leads from the last block to the ending with the tile's destination, POP {pc} from
@ the first block, which follows the ending of the tile before, to the others. So neither is looked up, and
@ nothing asks whether the row is done.
@
@ The first block takes the weights of d0; the others wait right-aligned up to d15, so that which comes second
@ depends on their number, and with it how many words of X the first has to load ahead.
@
@ A tile that is saturated has one address more: POP {pc} leads from what shifts, saturates and packs its values to
@ what stores them.
@
@ r0: struct Straight of straight.rs, or Saturating, as they come to lie on the stack.

    .equ ST_W, 4            @ next weights, next rows
    .equ ST_PAIRS, 56       @ code: pushes of two tiles
    .equ ST_FRAME, 60
    .equ SS_LOAD, 56        @ code: loads the weights
    .equ SS_FIRST, 60       @ code: the first block; rounding constant
    .equ SS_PAIRS, 68       @ code: pushes of two tiles
    .equ SS_FRAME, 72

    .macro straight_first ahead
    vmov r12, lr, d0
    ldmia r0!, {r1, r2, r3}
    column r4, r8, r1, 1
    column r5, r9, r2, 1
    column r6, r10, r3, 1
    .if \ahead == 0
    ldr r1, [r0], #4
    .elseif \ahead == 1
    ldmia r0!, {r1, r3}
    .else
    ldmia r0!, {r1, r2, r3}
    .endif
    column r7, r11, r1, 1
    pop {pc}
    .endm

    .macro straight_top_pairs
    top_pairs
    .endm

    .macro straight_top_columns
    top_rows
    .endm

    .macro straight_pack_pairs
    pack_pairs
    .endm

    .macro straight_pack_columns
    pack_rows
    .endm

    .macro straight_put_pairs
    stmia r2, {r4-r7}
    .endm

    .macro straight_put_columns
    strd r4, r6, [r2]
    strd r5, r7, [r2, #16]
    .endm

    .section .text.bt_core_straight, "ax", %progbits
    .p2align 2
    .global bt_core_straight
    .type bt_core_straight, %function
    .thumb_func
bt_core_straight:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldr lr, [r0, #ST_PAIRS]
    push {lr}
    ldmia r0, {r0-r12, lr}
    push {r0-r12, lr}

    @ r0 X, r1 W, r2 rows and r8 their end, r3 destination of the last tile of row 0, r5 code that loads W, r11
    @ bytes from tile to tile, lr code that pushes. Pushed for each tile: r4, r7 the code of the second block, its
    @ destination in r5 and r8, r6 and r9 its ending; r12 that of the last tile. r10 begins the row.
.Lbt_straight_row:
    ldmia sp, {r0-r12, lr}
    cmp r2, r8
    beq .Lbt_straight_done
    ldrh r8, [r2], #2
    add r8, r3, r8, lsl #2
    vldmia r1!, {d0}
    bx r5
    .irp b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_straight_load_\b:
    vldmia r1!, {d\b-d15}
    b .Lbt_straight_loaded
    .endr
.Lbt_straight_loaded:
    strd r1, r2, [sp, #ST_W]
    push {r7, r8, r12}
    sub r8, r8, r11
    bx lr
    @ An odd one, then two at a time.
.Lbt_straight_odd:
    push {r7, r8, r9}
    sub r8, r8, r11
    ldr pc, [sp, #24 + ST_PAIRS]
    .irp twos, 7, 6, 5, 4, 3, 2, 1
.Lbt_straight_twos_\twos:
    sub r5, r8, r11
    push {r4-r9}
    sub r8, r5, r11
    .endr
.Lbt_straight_twos_0:
    bx r10

.Lbt_straight_done:
    add sp, sp, #ST_FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}

    .irp b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_straight_pair_\b:
    pair \b, 0
    .endr
    pop {r2, pc}

    .irp store, pairs, columns
    .irp ahead, 0, 1, 2
.Lbt_straight_\store\()_\ahead:
    straight_top_\store
    straight_put_\store
.Lbt_straight_first_\store\()_\ahead:
    mov r11, #0x8000
    straight_first \ahead
.Lbt_saturating_put_\store\()_\ahead:
    straight_put_\store
.Lbt_saturating_first_\store\()_\ahead:
    straight_first \ahead
    .endr
.Lbt_straight_last_\store:
    straight_top_\store
    straight_put_\store
    b .Lbt_straight_row
.Lbt_saturating_last_\store:
    straight_put_\store
    b .Lbt_saturating_row
    .irp shift, 12, 13, 14, 15
.Lbt_saturating_\store\()_\shift:
    .irp sum, r4, r5, r6, r7, r8, r9, r10, r11
    ssat \sum, #15, \sum, asr #\shift
    .endr
    straight_pack_\store
    mov r11, #1 << (\shift - 1)
    pop {pc}
    .endr
    .endr
    .size bt_core_straight, . - bt_core_straight

    @ Rows of tiles that are saturated: as above, but r4 is the destination of the last tile of row 0. Pushed for
    @ each tile: r3, r7 the code of the second block, its destination in r4 and r8, r5 and r9 what saturates it, r6
    @ and r10 what stores it; r12 what stores the last tile. Then r1 begins the row, r2 is the rounding constant.
    .global bt_core_saturating
    .type bt_core_saturating, %function
    .thumb_func
bt_core_saturating:
    push {r4-r11, lr}
    vpush {d8-d15}
    add r12, r0, #SS_LOAD
    ldmia r12, {r1-r4}
    push {r1-r4}
    ldmia r0, {r0-r12, lr}
    push {r0-r12, lr}
.Lbt_saturating_row:
    ldmia sp, {r0-r12, lr}
    cmp r2, r8
    beq .Lbt_saturating_done
    ldrh r8, [r2], #2
    add r8, r4, r8, lsl #2
    vldmia r1!, {d0}
    ldr pc, [sp, #SS_LOAD]
    .irp b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.Lbt_saturating_load_\b:
    vldmia r1!, {d\b-d15}
    b .Lbt_saturating_loaded
    .endr
.Lbt_saturating_loaded:
    strd r1, r2, [sp, #ST_W]
    ldrd r1, r2, [sp, #SS_FIRST]
    push {r7, r8, r9, r12}
    sub r8, r8, r11
    bx lr
.Lbt_saturating_odd:
    push {r7, r8, r9, r10}
    sub r8, r8, r11
    ldr pc, [sp, #32 + SS_PAIRS]
    .irp twos, 7, 6, 5, 4, 3, 2, 1
.Lbt_saturating_twos_\twos:
    sub r4, r8, r11
    push {r3-r10}
    sub r8, r4, r11
    .endr
.Lbt_saturating_twos_0:
    mov r11, r2
    bx r1

.Lbt_saturating_done:
    add sp, sp, #SS_FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size bt_core_saturating, . - bt_core_saturating

    @ Code addresses, as struct Codes of straight.rs has them.
    .section .rodata.bt_core_straight_code, "a", %progbits
    .p2align 2
    .global bt_core_straight_code
    .type bt_core_straight_code, %object
bt_core_straight_code:
    .irp b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .word .Lbt_straight_load_\b + 1, .Lbt_straight_pair_\b + 1
    .endr
    .irp twos, 0, 1, 2, 3, 4, 5, 6, 7
    .word .Lbt_straight_twos_\twos + 1
    .endr
    .word .Lbt_straight_odd + 1
    .irp store, pairs, columns
    .irp ahead, 0, 1, 2
    .word .Lbt_straight_\store\()_\ahead + 1, .Lbt_straight_first_\store\()_\ahead + 1
    .endr
    .word .Lbt_straight_last_\store + 1
    .endr
    .irp b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .word .Lbt_saturating_load_\b + 1
    .endr
    .irp twos, 0, 1, 2, 3, 4, 5, 6, 7
    .word .Lbt_saturating_twos_\twos + 1
    .endr
    .word .Lbt_saturating_odd + 1
    .irp store, pairs, columns
    .irp ahead, 0, 1, 2
    .word .Lbt_saturating_put_\store\()_\ahead + 1, .Lbt_saturating_first_\store\()_\ahead + 1
    .endr
    .word .Lbt_saturating_last_\store + 1
    .irp shift, 12, 13, 14, 15
    .word .Lbt_saturating_\store\()_\shift + 1
    .endr
    .endr
    .size bt_core_straight_code, . - bt_core_straight_code
    .text
