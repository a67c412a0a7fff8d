#include "interrupts.h"

#include "io.h"
#include "memory.h"
#include "print.h"
#include "serial.h"
#include "timer.h"

enum {
    VECTOR_PAGE_FAULT = 14,
    VECTOR_IRQ = 32,            /* interrupt lines come after the 32 exceptions */
    VECTOR_TIMER = VECTOR_IRQ + 0,
    VECTOR_SERIAL = VECTOR_IRQ + 4,
    VECTORS = VECTOR_IRQ + 16,
};

enum {
    KERNEL_CODE = 0x08,         /* the selector of boot.S's code segment */
    PRESENT_INTERRUPT_GATE = 0x8e,
};

struct gate {
    uint16_t address_low;
    uint16_t selector;
    uint8_t stack;
    uint8_t type;
    uint16_t address_middle;
    uint32_t address_high;
    uint32_t reserved;
};

struct table_pointer {
    uint16_t limit;
    const void *base;
} __attribute__((packed));

static struct gate idt[VECTORS];

extern const uint64_t vectors[VECTORS];  /* entry points, in vectors.S */

/* The 8259s: the second hangs on line 2 of the first. */
enum {
    PIC1_COMMAND = 0x20,
    PIC1_DATA = 0x21,
    PIC2_COMMAND = 0xa0,
    PIC2_DATA = 0xa1,
    PIC_INITIALIZE = 0x11,
    PIC_8086_MODE = 0x01,
    PIC_END_OF_INTERRUPT = 0x20,
};

/* Moves the interrupt lines from vectors 8 to 15, where the exceptions are, to 32 and up; lets only two lines through. */
static void pic_init(void)
{
    outb(PIC1_COMMAND, PIC_INITIALIZE);
    outb(PIC2_COMMAND, PIC_INITIALIZE);
    outb(PIC1_DATA, VECTOR_IRQ);
    outb(PIC2_DATA, VECTOR_IRQ + 8);
    outb(PIC1_DATA, 1 << 2);
    outb(PIC2_DATA, 2);
    outb(PIC1_DATA, PIC_8086_MODE);
    outb(PIC2_DATA, PIC_8086_MODE);

    uint8_t wanted = 1 << (VECTOR_TIMER - VECTOR_IRQ) | 1 << (VECTOR_SERIAL - VECTOR_IRQ);
    outb(PIC1_DATA, (uint8_t)~wanted);
    outb(PIC2_DATA, 0xff);
}

void interrupts_init(void)
{
    for (int i = 0; i < VECTORS; i++) {
        idt[i].address_low = vectors[i];
        idt[i].address_middle = vectors[i] >> 16;
        idt[i].address_high = vectors[i] >> 32;
        idt[i].selector = KERNEL_CODE;
        idt[i].type = PRESENT_INTERRUPT_GATE;
    }
    struct table_pointer pointer = { sizeof idt - 1, idt };
    __asm__ volatile("lidt %0" : : "m"(pointer));
    pic_init();
}

static const char *const exception_names[VECTOR_IRQ] = {
    "divide error", "debug", "NMI", "breakpoint", "overflow", "bound range exceeded", "invalid opcode",
    "device not available", "double fault", "coprocessor segment overrun", "invalid TSS", "segment not present",
    "stack fault", "general protection fault", "page fault", "reserved", "x87 error", "alignment check",
    "machine check", "SIMD error", "virtualization exception", "control protection exception",
};

static void print_exception(const struct interrupt_frame *frame)
{
    const char *name = exception_names[frame->vector];

    print("\nexception %u (%s), error code %x\n", frame->vector, name ? name : "reserved", frame->error_code);
    print("  RIP %x  RSP %x  RFLAGS %x\n", frame->rip, frame->rsp, frame->rflags);
    if (frame->vector == VECTOR_PAGE_FAULT)
        print("  CR2 %x (the address that was touched)\n", memory_fault_address());
}

static void handle_exception(const struct interrupt_frame *frame)
{
    print_exception(frame);
    if (frame->vector == VECTOR_PAGE_FAULT && memory_map_page(memory_fault_address())) {
        print("  mapped a page there; trying again\n");
        return;
    }
    print("halted: stop or restart the machine\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* Called by vectors.S for every interrupt and exception, with interrupts off. */
void interrupt_handler(const struct interrupt_frame *frame)
{
    switch (frame->vector) {
    case VECTOR_TIMER:
        timer_interrupt();
        break;
    case VECTOR_SERIAL:
        serial_interrupt();
        break;
    default:
        handle_exception(frame);
        return;
    }
    outb(PIC1_COMMAND, PIC_END_OF_INTERRUPT);
}
