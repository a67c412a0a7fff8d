/* Proves that a kernel can call and push on the stack it is entered with, as on a PC whose firmware has left one. Prints `S`. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start
start:
        call    check
        EXIT    EXIT_FAILED

check:
        push    $0x12345678
        pop     %ecx
        cmp     $0x12345678, %ecx
        jne     1f
        PUT     'S'
        EXIT    EXIT_OK
1:      EXIT    EXIT_FAILED
