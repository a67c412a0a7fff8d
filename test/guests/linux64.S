/* Proves the Linux 64-bit entry: long mode, RSI points at a zero page with "HdrS", 4 GiB mapped one to one. Prints `L`. */
#include "guest.h"

        .text
        .code64
        .global start
start:
        cmpl    $0x53726448, 0x202(%rsi)        /* hdr.header */
        jne     failed
        cmpb    $0, 0x1e8(%rsi)                 /* e820_entries */
        je      failed
        mov     0x70(%rsi), %rbx                /* acpi_rsdp_addr */
        mov     $0x2052545020445352, %rax       /* "RSD PTR " */
        cmp     %rax, (%rbx)
        jne     failed
        push    %rsi                            /* there is a stack */
        pop     %rsi
        mov     $0xfee00030, %ebx               /* the local APIC's version, near the end of what is mapped */
        mov     (%rbx), %eax
        test    %al, %al
        jz      failed
        PUT     'L'
        EXIT    EXIT_OK
failed: PUT     '!'
        EXIT    EXIT_FAILED
