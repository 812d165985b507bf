/* Text over the board's UART. */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

void write_text(const char *text);
void write_number(int32_t number);

#endif
