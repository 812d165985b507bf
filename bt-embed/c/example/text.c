#include "text.h"

#include "board.h"

void write_text(const char *text) {
    while (*text) board_write(*text++);
}

void write_number(int32_t number) {
    char digits[12];
    char *at = digits + sizeof digits - 1;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    *at = 0;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0) *--at = '-';
    write_text(at);
}
