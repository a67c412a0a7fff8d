/*
 * Proves that a BAR can be sized and moved, and that every vCPU sees where it is: takes the first function with an MSI-X table,
 * sizes its BAR, writes to the table and moves it; a second CPU must read the value at the new place, writes another and moves the
 * BAR back, where the first must read that. Prints `S` (sized), `M` (moved away), `2` (the second CPU saw it), `1` (so did the
 * first), or `none`.
 */
#include "guest.h"

#define CONFIG_ADDRESS  0xcf8
#define CONFIG_DATA     0xcfc
#define CONFIG_ENABLE   0x80000000
#define CONFIG_END      (CONFIG_ENABLE + (32 << 11))
#define PCI_COMMAND     0x04
#define STATUS_CAP_LIST 0x00100000      /* with the command register below it */
#define COMMAND_MEMORY  2
#define PCI_BAR0        0x10
#define PCI_CAP_LIST    0x34
#define CAP_ID_MSIX     0x11

#define NEW_BASE        0xc8000000
#define FIRST_VALUE     0xfee01000      /* of the address of vector 0 */
#define SECOND_VALUE    0xfee02000

#define LAPIC_ICR       0xfee00300
#define ICR_OTHERS_INIT 0x000c4500
#define ICR_OTHERS_SIPI 0x000c4600
#define AP_PAGE         8
#define AP_BASE         (AP_PAGE << 12)
#define WAIT_EXITS      10000

        MULTIBOOT_HEADER
        .global start
start:
        LOAD_SEGMENTS
        mov     $CONFIG_ENABLE, %ebp    /* the function */
        xor     %ecx, %ecx              /* 0: at the head of the list */
function:
        mov     $PCI_COMMAND, %ebx
        call    config_read
        cmp     $0xffffffff, %eax
        je      next
        test    $STATUS_CAP_LIST, %eax
        jz      next
        mov     $PCI_CAP_LIST, %ebx
capability:
        call    config_read             /* the list's head, or id and next of an entry */
        test    %ecx, %ecx
        jz      1f
        cmp     $CAP_ID_MSIX, %al
        je      found
        mov     %ah, %al
1:      movzbl  %al, %ebx
        mov     $1, %ecx
        test    %ebx, %ebx
        jnz     capability
next:   xor     %ecx, %ecx
        add     $1 << 11, %ebp
        cmp     $CONFIG_END, %ebp
        jne     function
        mov     $none, %esi
        call    print
        EXIT    EXIT_FAILED

found:  mov     %ebp, found_function
        add     $4, %ebx                /* offset of the table, and its BAR */
        call    config_read
        and     $7, %eax
        lea     PCI_BAR0(, %eax, 4), %ebx
        mov     %ebx, bar
        call    config_read
        and     $~0xf, %eax
        mov     %eax, old_base

        mov     $0xffffffff, %eax
        call    config_write
        call    config_read
        and     $~0xf, %eax
        neg     %eax                    /* the size: a power of two, a page at least */
        lea     -1(%eax), %edx
        test    %eax, %edx
        jnz     failed
        cmp     $4096, %eax
        jb      failed
        mov     old_base, %eax
        call    config_write
        mov     $PCI_COMMAND, %ebx
        call    config_read
        or      $COMMAND_MEMORY, %eax
        call    config_write
        PUT     'S'

        mov     old_base, %edi
        movl    $FIRST_VALUE, (%edi)
        mov     bar, %ebx
        mov     $NEW_BASE, %eax
        call    config_write
        cmpl    $FIRST_VALUE, (%edi)
        je      failed
        PUT     'M'

        mov     $ap_start, %esi
        mov     $AP_BASE, %edi
        mov     $ap_end - ap_start, %ecx
        rep movsb
        movl    $ICR_OTHERS_INIT, LAPIC_ICR
        call    wait
        movl    $(ICR_OTHERS_SIPI | AP_PAGE), LAPIC_ICR
        mov     $1000, %esi
1:      call    wait
        cmpl    $0, ap_done
        jne     2f
        dec     %esi
        jnz     1b
        jmp     failed
2:      mov     old_base, %edi
        cmpl    $SECOND_VALUE, (%edi)
        jne     failed
        PUT     '1'
        EXIT    EXIT_OK
failed: EXIT    EXIT_FAILED

/* A register (EBX) of the function (EBP). Leave ECX alone. */
config_address:
        push    %eax
        lea     (%ebp, %ebx), %eax
        mov     $CONFIG_ADDRESS, %edx
        out     %eax, %dx
        mov     $CONFIG_DATA, %edx
        pop     %eax
        ret
config_read:
        call    config_address
        in      %dx, %eax
        ret
config_write:
        call    config_address
        out     %eax, %dx
        ret

print:  mov     $COM1, %dx
1:      mov     (%esi), %al
        test    %al, %al
        jz      2f
        out     %al, %dx
        inc     %esi
        jmp     1b
2:      ret

wait:   mov     $WAIT_EXITS, %ecx
1:      out     %al, $PORT_NOBODY
        loop    1b
        ret

/* The second CPU, in protected mode. */
second: mov     $SELECTOR_DATA, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $ap_stack_top, %esp
        mov     found_function, %ebp
        cmpl    $FIRST_VALUE, NEW_BASE
        jne     3f
        PUT     '2'
        movl    $SECOND_VALUE, NEW_BASE
        mov     bar, %ebx
        mov     old_base, %eax
        call    config_write
        movl    $1, ap_done
3:      hlt
        jmp     3b

/* Copied to AP_BASE; where it runs in real mode. */
        .code16
ap_start:
        cli
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   ap_gdt - ap_start
        mov     %cr0, %eax
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $SELECTOR_CODE, $second
        .balign 4
ap_gdt: .word   3 * 8 - 1
        .long   gdt
ap_end:

        .data
none:   .asciz  "none"
        .balign 4
bar:    .long   0                       /* its register */
old_base:
        .long   0
found_function:
        .long   0
ap_done:
        .long   0
        .bss
        .balign 16
        .skip   256
ap_stack_top:
