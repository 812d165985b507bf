/* Arm's MPS2 boards as QEMU emulates them (AN385: Cortex-M3, AN386: Cortex-M4F): start-up and UART. */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define CPACR REGISTER(0xE000ED88u)

/* UART 0 of the Cortex-M System Design Kit. */
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CONTROL REGISTER(0x40004008u)
#define UART_DIVIDER REGISTER(0x40004010u)
#define STATE_TX_FULL (1u << 0)
#define STATE_RX_FULL (1u << 1)

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;

int main(void);

uint8_t board_read(void) {
    while (!(UART_STATE & STATE_RX_FULL)) {
    }
    return (uint8_t)UART_DATA;
}

void board_write(char byte) {
    while (UART_STATE & STATE_TX_FULL) {
    }
    UART_DATA = (uint8_t)byte;
}

static void reset(void) {
#if defined(__ARM_FP) && !defined(FPU_LEFT_OFF)
    /* Full access to coprocessors 10 and 11, before anything that may use their registers. */
    CPACR |= 0xFu << 20;
    __asm volatile("dsb\n isb" ::: "memory");
#endif
    uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    UART_DIVIDER = 25000000u / 115200u;
    UART_CONTROL = 3;
    main();
    for (;;) {
    }
}

/* A fault is told, not mistaken for silence. */
static void fault(void) {
    for (const char *text = "fault\n"; *text;) board_write(*text++);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {&stack_top, {reset, fault, fault, fault, fault, fault}};
