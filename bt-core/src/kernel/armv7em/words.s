@ Words eight at a time.

    .syntax unified
    .thumb

    @ r0 words, r1 eights of them, at least one, r2 the value of all.
    .section .text.bt_core_fill_eights, "ax", %progbits
    .p2align 2
    .global bt_core_fill_eights
    .type bt_core_fill_eights, %function
    .thumb_func
bt_core_fill_eights:
    push {r4-r9}
    .irp word, r3, r4, r5, r6, r7, r8, r9
    mov \word, r2
    .endr
.Lbt_fill_eight:
    stmia r0!, {r2-r9}
    subs r1, r1, #1
    bne .Lbt_fill_eight
    pop {r4-r9}
    bx lr
    .size bt_core_fill_eights, . - bt_core_fill_eights

    @ r0 to, r1 from, r2 eights of words, at least one.
    .section .text.bt_core_copy_eights, "ax", %progbits
    .p2align 2
    .global bt_core_copy_eights
    .type bt_core_copy_eights, %function
    .thumb_func
bt_core_copy_eights:
    push {r4-r10}
.Lbt_copy_eight:
    ldmia r1!, {r3-r10}
    stmia r0!, {r3-r10}
    subs r2, r2, #1
    bne .Lbt_copy_eight
    pop {r4-r10}
    bx lr
    .size bt_core_copy_eights, . - bt_core_copy_eights
    .text
