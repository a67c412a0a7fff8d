/*
 * Where the kernel starts. A multiboot loader puts us at 1 MiB in 32-bit protected mode without paging; C wants 64-bit long mode.
 * Four things lead there: page tables, CR4.PAE, EFER.LME, CR0.PG. Then a jump through a 64-bit code segment.
 */

#define MULTIBOOT_MAGIC         0x1badb002
#define MULTIBOOT_MEMORY_INFO   (1 << 1)        /* please tell us how much memory there is */
#define MULTIBOOT_ADDRESSES     (1 << 16)       /* load by the addresses below, for loaders without 64-bit ELF */
#define MULTIBOOT_FLAGS         (MULTIBOOT_MEMORY_INFO | MULTIBOOT_ADDRESSES)

#define PRESENT_WRITABLE        0x03
#define LARGE_PAGE              0x80            /* in a page directory: this entry maps 2 MiB */
#define MAPPED_LARGE_PAGES      8               /* 16 MiB, address for address; nothing else is mapped */

#define CR0_PG                  (1 << 31)
#define CR4_PAE                 (1 << 5)
#define EFER                    0xc0000080
#define EFER_LME                (1 << 8)

        .section .multiboot, "a"
        .balign 4
multiboot_header:
        .long   MULTIBOOT_MAGIC
        .long   MULTIBOOT_FLAGS
        .long   -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
        .long   multiboot_header
        .long   image_start, image_end, bss_end         /* from linker.ld */
        .long   start

        .text
        .code32
        .global start
        .type   start, @function
start:
        mov     $stack_top, %esp
        mov     %eax, %edi              /* the loader's magic: kernel_main's first argument */
        mov     %ebx, %esi              /* its information: the second */

        mov     $pml4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $EFER, %ecx
        rdmsr
        or      $EFER_LME, %eax
        wrmsr
        mov     %cr0, %eax
        or      $CR0_PG, %eax
        mov     %eax, %cr0              /* long mode from here, but still 32-bit code … */
        lgdt    gdt_pointer
        ljmp    $(gdt_code - gdt), $start64     /* … until this jump */
        .size   start, . - start

        .code64
        .type   start64, @function
start64:
        .cfi_sections .debug_frame
        .cfi_startproc
        .cfi_undefined rip              /* we have no caller: a debugger's stack ends here */
        mov     $(gdt_data - gdt), %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %ebp, %ebp
        call    kernel_main
halt:   hlt
        jmp     halt
        .cfi_endproc
        .size   start64, . - start64

        .section .rodata
        .balign 8
gdt:    .quad   0
gdt_code:
        .quad   0x00af9b000000ffff      /* 64-bit code, ring 0 */
gdt_data:
        .quad   0x00cf93000000ffff      /* data, ring 0 */
gdt_pointer:
        .word   . - gdt - 1
        .quad   gdt

        .data
        .balign 4096
pml4:   .quad   page_directory_pointers + PRESENT_WRITABLE
        .fill   511, 8, 0

        .global page_directory_pointers
page_directory_pointers:                /* one entry per GiB; memory.c adds the second */
        .quad   page_directory + PRESENT_WRITABLE
        .fill   511, 8, 0

page_directory:
        .set    address, 0
        .rept   MAPPED_LARGE_PAGES
        .quad   address + LARGE_PAGE + PRESENT_WRITABLE
        .set    address, address + 0x200000
        .endr
        .fill   512 - MAPPED_LARGE_PAGES, 8, 0

        .bss
        .balign 16
        .skip   16384
stack_top:
