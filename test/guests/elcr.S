/* Proves that the PICs know which interrupts are levels, as a PC's firmware leaves them: prints `L` for the SCI, `E` for COM1's. */
#include "guest.h"

#define PORT_ELCR1      0x4d0
#define PORT_ELCR2      0x4d1
#define ELCR1_IRQ4      (1 << 4)
#define ELCR2_IRQ9      (1 << (9 - 8))

        MULTIBOOT_HEADER
        .global start
start:
        mov     $PORT_ELCR2, %dx
        in      %dx, %al
        test    $ELCR2_IRQ9, %al
        jz      failed
        PUT     'L'
        mov     $PORT_ELCR1, %dx
        in      %dx, %al
        test    $ELCR1_IRQ4, %al
        jnz     failed
        PUT     'E'
        EXIT    EXIT_OK
failed: EXIT    EXIT_FAILED
