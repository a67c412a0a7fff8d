/* Proves power-off by ACPI: SLP_TYP 5 (what \_S5 says) with SLP_EN into PM1a_CNT. QEMU's \_S5 says 0, so that comes second. */
#include "guest.h"

#define PM1A_CNT        0x604
#define SLP_EN          (1 << 13)

        MULTIBOOT_HEADER
        .global start
start:
        PUT     'P'
        mov     $PM1A_CNT, %dx
        mov     $(SLP_EN | 5 << 10), %ax
        out     %ax, %dx
        mov     $SLP_EN, %ax
        out     %ax, %dx
        EXPECT_END
