# From reset to `main`, machine mode: registers, the values of data, zeros, the paint of the stack. A trap goes
# to `bt_embed_trapped` with its cause and its place, on a stack of its own: the last one may have overflown.

    .section .init, "ax", @progbits
    .global _start
    .type _start, @function
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, _stack_start
    la t0, .Lbt_trap
    csrw mtvec, t0

    la t0, __sdata
    la t1, __edata
    la t2, __sidata
1:  bgeu t0, t1, 2f
    lw t3, 0(t2)
    sw t3, 0(t0)
    addi t0, t0, 4
    addi t2, t2, 4
    j 1b

2:  la t0, __sbss
    la t1, __ebss
3:  bgeu t0, t1, 4f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 3b

4:  la t0, _stack_end
    li t1, 0xcccccccc
5:  bgeu t0, sp, 6f
    sw t1, 0(t0)
    addi t0, t0, 4
    j 5b
6:  tail main

    .p2align 2
.Lbt_trap:
    csrr a0, mcause
    csrr a1, mepc
    la sp, _stack_start
    tail bt_embed_trapped

    .global bt_embed_halt
bt_embed_halt:
    j bt_embed_halt
