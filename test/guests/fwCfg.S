/* Proves that QEMU's fw_cfg says who it is and how many CPUs there are: prints `QEMU n`, n below 10. */
#include "guest.h"

#define FW_CFG_SELECTOR 0x510
#define FW_CFG_DATA     0x511
#define FW_CFG_NB_CPUS  0x05

        MULTIBOOT_HEADER
        .global start
start:
        xor     %eax, %eax              /* the signature */
        mov     $FW_CFG_SELECTOR, %dx
        out     %ax, %dx
        mov     $4, %ecx
1:      mov     $FW_CFG_DATA, %dx
        in      %dx, %al
        mov     $COM1, %dx
        out     %al, %dx
        loop    1b
        PUT     ' '
        mov     $FW_CFG_NB_CPUS, %ax
        mov     $FW_CFG_SELECTOR, %dx
        out     %ax, %dx
        mov     $FW_CFG_DATA, %dx
        in      %dx, %al                /* the low byte of two */
        add     $'0', %al
        mov     $COM1, %dx
        out     %al, %dx
        EXIT    EXIT_OK
