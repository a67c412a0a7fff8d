/* Proves that a guest that cannot go on is stopped with its registers and code: ud2 without an IDT. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start, unknown
start:
        PUT     'U'
        lidt    empty_idt
        mov     $0x12345678, %ebx
unknown:
        ud2
        EXIT    EXIT_FAILED

        .data
empty_idt:
        .word   0
        .long   0
