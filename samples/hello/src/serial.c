#include "serial.h"

#include "io.h"

/* Registers, as offsets from COM1's first port. Two are shared: writing 0 sends, reading it receives. */
enum {
    COM1 = 0x3f8,
    DATA = COM1 + 0,
    INTERRUPT_ENABLE = COM1 + 1,
    FIFO_CONTROL = COM1 + 2,
    LINE_CONTROL = COM1 + 3,
    MODEM_CONTROL = COM1 + 4,
    LINE_STATUS = COM1 + 5,
};

enum {
    LINE_8N1 = 0x03,            /* 8 data bits, no parity, 1 stop bit */
    LINE_DIVISOR_LATCH = 0x80,  /* registers 0 and 1 are the baud rate divisor */
    FIFO_ENABLE_AND_CLEAR = 0x07,
    MODEM_DTR_RTS_OUT2 = 0x0b,  /* OUT2 connects the UART to its interrupt line */
    RECEIVED_DATA = 0x01,
    TRANSMITTER_EMPTY = 0x20,
};

/* What has been received and not yet read: the interrupt handler fills it, serial_read empties it. */
static struct {
    char characters[64];
    unsigned int first;
    unsigned int count;
} received;

void serial_init(void)
{
    outb(LINE_CONTROL, LINE_DIVISOR_LATCH);
    outb(DATA, 1);              /* 115200 baud */
    outb(INTERRUPT_ENABLE, 0);
    outb(LINE_CONTROL, LINE_8N1);
    outb(FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
    outb(MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
    outb(INTERRUPT_ENABLE, RECEIVED_DATA);
}

static void send(char character)
{
    while (!(inb(LINE_STATUS) & TRANSMITTER_EMPTY))
        ;
    outb(DATA, character);
}

void serial_write(char character)
{
    if (character == '\n')
        send('\r');
    send(character);
}

bool serial_read(char *character)
{
    if (received.count == 0)
        return false;
    *character = received.characters[received.first];
    received.first = (received.first + 1) % sizeof received.characters;
    received.count--;
    return true;
}

void serial_interrupt(void)
{
    while (inb(LINE_STATUS) & RECEIVED_DATA) {
        char character = inb(DATA);
        if (received.count < sizeof received.characters) {
            unsigned int next = (received.first + received.count) % sizeof received.characters;
            received.characters[next] = character;
            received.count++;
        }
    }
}
