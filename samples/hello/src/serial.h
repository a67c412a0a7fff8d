/* COM1, a 16550 UART: the kernel's terminal. */
#pragma once

#include <stdbool.h>

void serial_init(void);

/* Sends one character; '\n' becomes "\r\n", as terminals want it. */
void serial_write(char character);

/* Takes the next received character, if there is one. */
bool serial_read(char *character);

/* Called by the interrupt handler when COM1 has something for us. */
void serial_interrupt(void);
