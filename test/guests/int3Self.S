/* Proves that an int3 of the guest's own reaches the guest's #BP handler, which returns after it. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start, own_int3
start:
        LOAD_SEGMENTS
        LOAD_IDT
        SET_GATE 3, on_breakpoint
own_int3:
        int3
after:  PUT     'A'
        cmpl    $1, hits
        jne     failed
        EXIT    EXIT_OK
failed: EXIT    EXIT_FAILED

/* The saved EIP is the instruction after the int3. */
on_breakpoint:
        cmpl    $after, (%esp)
        jne     failed
        incl    hits
        PUT     'B'
        RETURN_FROM_INTERRUPT

        .bss
hits:   .skip   4
