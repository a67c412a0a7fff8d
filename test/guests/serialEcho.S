/* Proves that received bytes raise COM1's interrupt: prints `ready`, echoes what is typed, `q` ends. Sleeps in hlt between bytes. */
#include "guest.h"

#define PIC1            0x20
#define PIC2            0xa0
#define IRQ_BASE        0x20
#define IRQ_COM1        4

        MULTIBOOT_HEADER
        .global start
start:
        LOAD_SEGMENTS
        LOAD_IDT
        SET_GATE (IRQ_BASE + IRQ_COM1), on_serial

        mov     $pic_program, %esi      /* ICW1 to ICW4, then the masks: only IRQ 4 */
        mov     $(pic_program_end - pic_program) / 2, %ecx
        xor     %edx, %edx
program:
        lodsw
        mov     %al, %dl
        mov     %ah, %al
        out     %al, %dx
        loop    program

        mov     $UART_MCR, %dx
        mov     $0x0b, %al              /* DTR, RTS, OUT2: OUT2 lets the interrupt out */
        out     %al, %dx
        mov     $UART_IER, %dx
        mov     $0x01, %al              /* received data available */
        out     %al, %dx

        mov     $ready, %esi
        mov     $COM1, %dx
print:  lodsb
        test    %al, %al
        jz      sleep
        out     %al, %dx
        jmp     print

sleep:  sti
        hlt
        jmp     sleep

/* Reads until the UART has no more: its interrupt is the PIC's edge. */
on_serial:
        push    %eax
        push    %edx
again:  mov     $UART_LSR, %dx
        in      %dx, %al
        test    $0x01, %al              /* data ready */
        jz      acknowledge
        mov     $COM1, %dx
        in      %dx, %al
        cmp     $'q', %al
        je      quit
        out     %al, %dx
        jmp     again
acknowledge:
        mov     $0x20, %al              /* non-specific end of interrupt */
        out     %al, $PIC1
        pop     %edx
        pop     %eax
        RETURN_FROM_INTERRUPT
quit:   EXIT    EXIT_OK

        .data
ready:  .asciz  "ready\n"

/* port, value */
pic_program:
        .byte   PIC1, 0x11,  PIC2, 0x11
        .byte   PIC1 + 1, IRQ_BASE,  PIC2 + 1, IRQ_BASE + 8
        .byte   PIC1 + 1, 0x04,  PIC2 + 1, 0x02
        .byte   PIC1 + 1, 0x01,  PIC2 + 1, 0x01
        .byte   PIC1 + 1, 0xff & ~(1 << IRQ_COM1),  PIC2 + 1, 0xff
pic_program_end:
