/** What a UART's registers mean, for people. PC16550D datasheet, §8.0. Main thread. */
import * as abi from '../../abi/uart16550.ts';
import type { Decoded } from '../../protocol/devices.ts';

/** With the divisor 1. */
const FASTEST_BAUD = 115_200;
/** §8.1: bits 5 to 3 of LCR; stick parity is mark or space. */
const PARITY = ['N', 'O', 'N', 'E', 'N', 'M', 'N', 'S'];
const INTERRUPTS = [
  [abi.UART_IER_RDI, 'received data'],
  [abi.UART_IER_THRI, 'transmitter empty'],
  [abi.UART_IER_RLSI, 'line status'],
  [abi.UART_IER_MSI, 'modem status'],
] as const;

export interface UartSetting {
  readonly ier: number;
  readonly fcr: number;
  readonly lcr: number;
  readonly mcr: number;
  readonly dll: number;
  readonly dlm: number;
}

export function uartMeaning({ ier, fcr, lcr, mcr, dll, dlm }: UartSetting): Decoded {
  const divisor = dlm * 256 + dll;
  const dataBits = 5 + (lcr & 3);
  const stopBits = (lcr & 4) === 0 ? '1' : dataBits === 5 ? '1.5' : '2';
  const trigger = abi.UART_RX_TRIGGER_BYTES[(fcr >> abi.UART_FCR_TRIGGER_SHIFT) & 3] ?? 1;
  const hasFifo = (fcr & abi.UART_FCR_ENABLE_FIFO) !== 0;
  return {
    line: `${divisor === 0 ? '?' : Math.round(FASTEST_BAUD / divisor)} ${dataBits}${PARITY[(lcr >> 3) & 7]}${stopBits}`,
    FIFO: hasFifo ? `interrupt at ${trigger} of ${abi.UART_FIFO_DEPTH}` : 'off',
    'interrupts enabled': INTERRUPTS.filter(([mask]) => (ier & mask) !== 0).map(([, name]) => name),
    loopback: (mcr & abi.UART_MCR_LOOP) !== 0,
  };
}
