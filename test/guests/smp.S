/* Proves that INIT and SIPI start the other vCPUs: each counts itself, then the first prints `CPUS n` and ends with value n. */
#include "guest.h"

#define LAPIC_ICR       0xfee00300
#define ICR_OTHERS_INIT 0x000c4500      /* to all but self, assert, INIT */
#define ICR_OTHERS_SIPI 0x000c4600      /* the same, start-up; the low byte is the page to start at */
#define AP_PAGE         8
#define AP_BASE         (AP_PAGE << 12)
#define AP_COUNT        (AP_BASE + 0xff0)
#define WAIT_EXITS      10000           /* an exit is 1 to 30 µs */

        MULTIBOOT_HEADER
        .global start, ap_start
start:
        LOAD_SEGMENTS
        mov     $ap_start, %esi
        mov     $AP_BASE, %edi
        mov     $ap_end - ap_start, %ecx
        rep movsb
        movw    $1, AP_COUNT            /* this CPU */

        movl    $ICR_OTHERS_INIT, LAPIC_ICR
        call    wait
        movl    $(ICR_OTHERS_SIPI | AP_PAGE), LAPIC_ICR
        call    wait
        movl    $(ICR_OTHERS_SIPI | AP_PAGE), LAPIC_ICR /* the second one is ignored by a CPU that runs */
        call    wait

        mov     $message, %esi
        mov     $COM1, %dx
print:  lodsb
        test    %al, %al
        jz      number
        out     %al, %dx
        jmp     print
number: mov     AP_COUNT, %ax
        mov     %eax, %ebx
        add     $'0', %al
        out     %al, %dx
        mov     $'\n', %al
        out     %al, %dx
        mov     %ebx, %eax
        out     %al, $PORT_DEBUG_EXIT
halt:   hlt
        jmp     halt

wait:   mov     $WAIT_EXITS, %ecx
1:      out     %al, $PORT_NOBODY
        loop    1b
        ret

/* Copied to AP_BASE; runs there in real mode, all CPUs at once. */
        .code16
ap_start:
        xor     %ax, %ax
        mov     %ax, %ds
        lock incw AP_COUNT
1:      hlt
        jmp     1b
ap_end:

        .data
message:
        .asciz  "CPUS "
