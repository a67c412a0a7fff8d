/* Proves that running where there is no memory is reported as such: jumps to a physical address beyond RAM. Prints `J` before. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start
start:
        PUT     'J'
        mov     $0xdead0000, %eax
        jmp     *%eax
