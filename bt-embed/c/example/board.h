/* What the example asks of a board. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* Waits for a byte. */
uint8_t board_read(void);

void board_write(char byte);

#endif
