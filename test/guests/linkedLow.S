/* Proves that a kernel linked wholly below 1 MiB starts (at 0x8000, without a linker script): prints `L`. */
#include "guest.h"

        .text
        .balign 4
        .long   0x1badb002, 0, -0x1badb002
        .global _start
_start: PUT     'L'
        EXIT    EXIT_OK
