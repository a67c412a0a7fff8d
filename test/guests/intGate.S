/* Proves that `int` through a gate with selector 0x08 works without the guest's own GDT: prints `AB`, the B from the handler. */
#include "guest.h"

#define VECTOR          0x80

        MULTIBOOT_HEADER
        .global start
start:
        mov     $stack_end, %esp
        LOAD_IDT
        SET_GATE VECTOR, handler        /* its selector is SELECTOR_CODE */
        PUT     'A'
        int     $VECTOR
        EXIT    EXIT_FAILED

handler:
        PUT     'B'
        EXIT    EXIT_OK

        .bss
        .balign 16
        .skip   4096
stack_end:
