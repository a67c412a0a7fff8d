/* Proves the reset by port 0xcf9, the one the FADT names: prints `R` at every start. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start
start:
        PUT     'R'
        mov     $0xcf9, %dx
        mov     $0x06, %al
        out     %al, %dx
        EXPECT_END
