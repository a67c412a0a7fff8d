/* Proves that a flat boot sector starts at 0000:7C00 in real mode: prints `real`, calls a BIOS that is not there, ends. */
#include "guest.h"

        .code16
        .global start
start:
        xor     %ax, %ax
        mov     %ax, %ds
        cmp     $0x80, %dl              /* the boot drive */
        jne     failed
        smsw    %ax
        test    $1, %al                 /* CR0.PE */
        jnz     failed
        mov     $message, %si
        mov     $COM1, %dx
next:   lodsb
        test    %al, %al
        jz      done
        out     %al, %dx
        jmp     next
done:   mov     $0x0e41, %ax
        int     $0x10                   /* returns: every vector points at an IRET */
        EXIT    EXIT_OK
failed: EXIT    EXIT_FAILED

message:
        .asciz  "real\n"
