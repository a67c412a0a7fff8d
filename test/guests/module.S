/* Proves that a multiboot module arrives with its arguments: prints the string that names it, then its first byte. */
#include "guest.h"

#define INFO_MODS_ADDR  24
#define MOD_START       0
#define MOD_STRING      8

        MULTIBOOT_HEADER
        .global start
start:
        mov     INFO_MODS_ADDR(%ebx), %ebx
        mov     MOD_STRING(%ebx), %esi
        mov     $COM1, %dx
1:      mov     (%esi), %al
        test    %al, %al
        jz      2f
        out     %al, %dx
        inc     %esi
        jmp     1b
2:      mov     MOD_START(%ebx), %esi
        mov     (%esi), %al
        out     %al, %dx
        EXIT    EXIT_OK
