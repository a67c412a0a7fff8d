/* Proves that a triple fault is reported: a bad selector raises #GP, and an empty IDT has no handler for it or for what follows. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start, fatal
start:
        PUT     'T'
        lidt    empty_idt
        mov     $0xfff8, %eax
fatal:  mov     %ax, %ds
        PUT     '!'
        EXIT    EXIT_FAILED

        .data
empty_idt:
        .word   0
        .long   0
