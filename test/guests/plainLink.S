/* Proves that what plain gcc and ld make for -Ttext=0x100000 starts: its ELF header at 0xff000, a build-id at 0x08048000. Prints `P`. */
#include "guest.h"

        .text
        .balign 4
        .long   0x1badb002, 0, -0x1badb002
        .global _start
_start: PUT     'P'
        EXIT    EXIT_OK
