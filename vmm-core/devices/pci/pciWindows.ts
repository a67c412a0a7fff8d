/** What the host bridge passes on to bus 0: a BAR that lies elsewhere is not decoded. */
import { PCI_MEMORY_BASE, PCI_MEMORY_END } from '../../memory/layout.ts';

export interface PciWindow {
  readonly base: number;
  readonly end: number;
}

/** Ports from 1000h on, as on PCs: below are those of the mainboard. */
export const PCI_IO_WINDOW: PciWindow = { base: 0x1000, end: 0x1_0000 };
export const PCI_MEMORY_WINDOW: PciWindow = { base: PCI_MEMORY_BASE, end: PCI_MEMORY_END };

export function windowOf(kind: 'io' | 'memory' | 'memory64'): PciWindow {
  return kind === 'io' ? PCI_IO_WINDOW : PCI_MEMORY_WINDOW;
}
