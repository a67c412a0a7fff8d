/* Proves exceptions in long mode: touches an address that is not mapped, and finds it in CR2 in its #PF handler. Prints `0E`. */
#include "guest.h"

#define UNMAPPED        0xdeadb000000   /* the Linux protocol maps 4 GiB */
#define CODE_64         0x10            /* __BOOT_CS of the GDT we start with */
#define VECTOR_PF       14

        .text
        .code64
        .global start, faulting
start:
        mov     $on_page_fault, %eax
        mov     %ax, gate
        movw    $CODE_64, gate + 2
        movw    $0x8e00, gate + 4       /* present, DPL 0, interrupt gate */
        shr     $16, %eax
        mov     %ax, gate + 6
        lidt    idt_pointer

        PUT     '0'
        mov     $UNMAPPED, %rbx
faulting:
        movb    $1, (%rbx)
        jmp     failed

on_page_fault:
        cmpl    $2, (%rsp)              /* error code: a write, the page not present */
        jne     failed
        mov     %cr2, %rax
        cmp     %rbx, %rax
        jne     failed
        cmpq    $faulting, 8(%rsp)
        jne     failed
        PUT     'E'
        EXIT    EXIT_OK
failed: EXIT    EXIT_FAILED

        .data
idt_pointer:
        .word   256 * 16 - 1
        .quad   idt

        .bss
        .balign 16
idt:    .skip   256 * 16
        .set    gate, idt + VECTOR_PF * 16
