/* Proves the reset by the keyboard controller: command 0xfe pulses the CPU's reset line. Prints `R` at every start. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start
start:
        PUT     'R'
        mov     $0xfe, %al
        out     %al, $0x64
        EXPECT_END
