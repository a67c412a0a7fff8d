/* Proves that no output is lost: prints 384 KiB in lines of 16 bytes without looking whether COM1 is ready, `end` as the last, and ends. */
#include "guest.h"

#define BLOCK   4096
#define BLOCKS  96

        MULTIBOOT_HEADER
        .global start
start:
        LOAD_SEGMENTS
        cld
        mov     $COM1, %dx
        mov     $BLOCKS, %ebx
1:      mov     $block, %esi
        mov     $BLOCK, %ecx
        rep outsb
        dec     %ebx
        jnz     1b
        mov     $last, %esi
        mov     $4, %ecx
        rep outsb
        EXIT    EXIT_OK

        .data
block:  .rept   BLOCK / 16
        .ascii  "0123456789abcde\n"
        .endr
last:   .ascii  "end\n"
