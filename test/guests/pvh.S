/* Proves the PVH entry: EBX points at a start_info with the magic, whose RSDP is one. Prints `V`. */
#include "guest.h"

        .section .note.Xen, "a", @note
        .balign 4
        .long   4, 4, 18                /* sizes of name and descriptor, XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   start

        .text
        .code32
        .global start
start:
        cmpl    $0x336ec578, (%ebx)
        jne     failed
        mov     32(%ebx), %esi          /* rsdp_paddr */
        cmpl    $0x20445352, (%esi)     /* "RSD " */
        jne     failed
        mov     %cr0, %eax
        and     $0x80000001, %eax       /* PG, PE */
        cmp     $1, %eax
        jne     failed
        PUT     'V'
        EXIT    EXIT_OK
failed: PUT     '!'
        EXIT    EXIT_FAILED
