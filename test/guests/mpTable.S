/* Proves that the MP table is found by a scan and names the CPUs: prints `n CPUs`, n below 10, or `none`. */
#include "guest.h"

#define SCAN_START      0xf0000
#define SCAN_END        0x100000
#define MP_SIGNATURE    0x5f504d5f      /* "_MP_" */
#define TABLE_COUNT     34              /* of entries, 16 bit */
#define TABLE_ENTRIES   44
#define CPU_BYTES       20              /* of an entry of type 0; all others have 8 */

        MULTIBOOT_HEADER
        .global start
start:
        mov     $SCAN_START, %esi
1:      cmpl    $MP_SIGNATURE, (%esi)
        je      found
        add     $16, %esi
        cmp     $SCAN_END, %esi
        jb      1b
        mov     $none, %esi
        jmp     print

found:  mov     4(%esi), %esi           /* the table */
        movzwl  TABLE_COUNT(%esi), %ecx
        add     $TABLE_ENTRIES, %esi
        xor     %ebx, %ebx
2:      cmpb    $0, (%esi)
        jne     3f
        inc     %ebx
        add     $(CPU_BYTES - 8), %esi
3:      add     $8, %esi
        dec     %ecx
        jnz     2b
        mov     $COM1, %dx
        lea     '0'(%ebx), %eax
        out     %al, %dx
        mov     $cpus, %esi

print:  mov     $COM1, %dx
4:      mov     (%esi), %al
        test    %al, %al
        jz      5f
        out     %al, %dx
        inc     %esi
        jmp     4b
5:      EXIT    EXIT_OK

        .data
none:   .asciz  "none"
cpus:   .asciz  " CPUs"
