/* Proves the cost of an exit: 100 000 writes to an unclaimed port, `S` on COM1 before the first, `D` after the last. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start
start:
        PUT     'S'
        mov     $100000, %ecx
write:  out     %al, $PORT_NOBODY
        dec     %ecx
        jnz     write
        PUT     'D'
        EXIT    EXIT_OK
