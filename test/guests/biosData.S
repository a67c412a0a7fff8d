/* Proves that what a BIOS leaves behind is there: prints Y or N for each of the seven checks below. */
#include "guest.h"

#define BDA_COM1        0x400
#define BDA_EBDA        0x40e           /* segment */
#define BDA_BASE_MEMORY 0x413           /* KiB */
#define BDA_CRTC        0x463           /* port */
#define CRTC            0x3d4
#define CURSOR_LOW      15
#define INPUT_STATUS_1  0x3da
#define V_RETRACE       0x08
#define PATIENCE        100000          /* reads; a picture of 60 Hz is over by then */
#define TEXT_MEMORY     0xb8000

/* Y if the flags say equal, else N. Clobbers EAX, EDX, EBX. */
.macro ANSWER
        mov     $'Y', %bl
        je      1f
        mov     $'N', %bl
1:      mov     $COM1, %dx
        mov     %bl, %al
        out     %al, %dx
.endm

        MULTIBOOT_HEADER
        .global start
start:
        cmpw    $COM1, BDA_COM1
        ANSWER
        cmpw    $639, BDA_BASE_MEMORY
        ANSWER
        movzwl  BDA_EBDA, %eax          /* the area starts where base memory ends, and its first byte is its size in KiB */
        shl     $4, %eax
        cmp     $(639 * 1024), %eax
        jne     2f
        cmpb    $1, (%eax)
2:      ANSWER
        cmpw    $CRTC, BDA_CRTC
        ANSWER
        mov     $CRTC, %dx              /* the cursor stays where it is put */
        mov     $CURSOR_LOW, %al
        out     %al, %dx
        inc     %dx
        mov     $0x5a, %al
        out     %al, %dx
        in      %dx, %al
        cmp     $0x5a, %al
        ANSWER
        movw    $0x0741, TEXT_MEMORY
        cmpw    $0x0741, TEXT_MEMORY
        ANSWER
        mov     $INPUT_STATUS_1, %dx    /* the next retrace is one that begins after the current one ends */
        mov     $PATIENCE, %ecx
3:      in      %dx, %al
        test    $V_RETRACE, %al
        loopnz  3b
4:      in      %dx, %al
        and     $V_RETRACE, %al
        cmp     $V_RETRACE, %al
        loopne  4b
        ANSWER
        EXIT    EXIT_OK
