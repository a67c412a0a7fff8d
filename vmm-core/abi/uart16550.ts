/** 16550 UART, offsets from the port base. PC16550D datasheet, Table II; names as in Linux's serial_reg.h. */

/** COM1..COM4 of a PC: base port and ISA interrupt, which two of them share. */
export const COM_RESOURCES = [
  { port: 0x3f8, irq: 4 },
  { port: 0x2f8, irq: 3 },
  { port: 0x3e8, irq: 4 },
  { port: 0x2e8, irq: 3 },
] as const;

export const UART_PORTS = 8;
export const UART_FIFO_DEPTH = 16;

export const UART_RX = 0; // R   receive buffer            (LCR.DLAB = 0)
export const UART_TX = 0; // W   transmit holding          (LCR.DLAB = 0)
export const UART_DLL = 0; // RW  divisor latch, low        (LCR.DLAB = 1)
export const UART_DLM = 1; // RW  divisor latch, high       (LCR.DLAB = 1)

export const UART_IER = 1; // RW  interrupt enable          (LCR.DLAB = 0)
export const UART_IER_RDI = 1 << 0; // received data available, and character time-out
export const UART_IER_THRI = 1 << 1; // transmitter holding register empty
export const UART_IER_RLSI = 1 << 2; // receiver line status
export const UART_IER_MSI = 1 << 3; // modem status
export const UART_IER_ALL = 0x0f; // bits 4-7 always read 0

export const UART_IIR = 2; // R   interrupt identification
export const UART_IIR_NO_INT = 0x01; // no interrupt pending (Table IV: values, not masks)
export const UART_IIR_MSI = 0x00; // fourth priority, modem status
export const UART_IIR_THRI = 0x02; // third, transmitter holding register empty
export const UART_IIR_RDI = 0x04; // second, received data available
export const UART_IIR_RLSI = 0x06; // highest, receiver line status
export const UART_IIR_RX_TIMEOUT = 0x0c; // second, character time-out (FIFO mode only)
export const UART_IIR_FIFO_ENABLED = 0xc0; // mask: both set while FCR0 = 1

export const UART_FCR = 2; // W   FIFO control
export const UART_FCR_ENABLE_FIFO = 1 << 0; // changing it clears both FIFOs
export const UART_FCR_CLEAR_RCVR = 1 << 1; // self-clearing
export const UART_FCR_CLEAR_XMIT = 1 << 2; // self-clearing
export const UART_FCR_TRIGGER_SHIFT = 6; // bits 6-7 index UART_RX_TRIGGER_BYTES
export const UART_RX_TRIGGER_BYTES = [1, 4, 8, 14] as const;

export const UART_LCR = 3; // RW  line control
export const UART_LCR_DLAB = 1 << 7; // divisor latch access

export const UART_MCR = 4; // RW  modem control
export const UART_MCR_DTR = 1 << 0;
export const UART_MCR_RTS = 1 << 1;
export const UART_MCR_OUT1 = 1 << 2;
export const UART_MCR_OUT2 = 1 << 3; // on a PC: lets the interrupt through to the IRQ line
export const UART_MCR_LOOP = 1 << 4; // local loopback
export const UART_MCR_ALL = 0x1f; // bits 5-7 always read 0

export const UART_LSR = 5; // R   line status
export const UART_LSR_DR = 1 << 0; // data ready
export const UART_LSR_OE = 1 << 1; // overrun error, cleared by reading
export const UART_LSR_PE = 1 << 2; // parity error
export const UART_LSR_FE = 1 << 3; // framing error
export const UART_LSR_BI = 1 << 4; // break
export const UART_LSR_THRE = 1 << 5; // transmitter holding register empty
export const UART_LSR_TEMT = 1 << 6; // transmitter empty
export const UART_LSR_BRK_ERROR_BITS = 0x1e; // mask: OE, PE, FE, BI, the sources of the line status interrupt

export const UART_MSR = 6; // R   modem status
export const UART_MSR_DCTS = 1 << 0; // changed since the last read
export const UART_MSR_DDSR = 1 << 1; // changed
export const UART_MSR_TERI = 1 << 2; // RI went from 1 to 0 (in the register's polarity)
export const UART_MSR_DDCD = 1 << 3; // changed
export const UART_MSR_CTS = 1 << 4;
export const UART_MSR_DSR = 1 << 5;
export const UART_MSR_RI = 1 << 6;
export const UART_MSR_DCD = 1 << 7;
export const UART_MSR_ANY_DELTA = 0x0f; // mask: the sources of the modem status interrupt

export const UART_SCR = 7; // RW  scratch
