/* Proves that an interrupt gate with selector 0x08 works without the guest's own GDT: prints `AB`, the B from the handler. */
#include "guest.h"

#define LAPIC_SPURIOUS  0xfee000f0
#define LAPIC_ICR       0xfee00300
#define LAPIC_ENABLE    0x1ff           /* and the spurious vector */
#define VECTOR          0x80
#define ICR_SELF        (0x44000 | VECTOR)

        MULTIBOOT_HEADER
        .global start
start:
        mov     $stack_end, %esp
        LOAD_IDT
        SET_GATE VECTOR, handler        /* its selector is SELECTOR_CODE */
        PUT     'A'
        mov     $0xff, %al              /* a firmware's timer ticks on: mask both 8259s */
        out     %al, $0x21
        out     %al, $0xa1
        movl    $LAPIC_ENABLE, LAPIC_SPURIOUS
        sti
        movl    $ICR_SELF, LAPIC_ICR
        EXPECT_END

handler:
        PUT     'B'
        EXIT    EXIT_OK

        .bss
        .balign 16
        .skip   4096
stack_end:
