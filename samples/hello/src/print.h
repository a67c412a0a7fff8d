#pragma once

/* Prints on COM1. Understands %s, %c, %u (unsigned long, decimal), %x (unsigned long, hexadecimal with 0x) and %%. */
void print(const char *format, ...);
