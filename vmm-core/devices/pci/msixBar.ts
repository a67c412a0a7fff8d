/**
 * The BAR that an MSI-X table and its pending bits have to themselves: the table at its start, the pending
 * bits in its second half. PCI 3.0 §6.8.2.
 */
import { PCI_MSIX_ENTRY_SIZE } from '../../abi/pci.ts';

export interface MsixBarLayout {
  readonly pendingOffset: number;
  readonly sizeBytes: number;
}

/** §6.8.2: software maps it by pages of 4 KiB, which nothing else should be in. */
const LEAST_BYTES = 4096;

export function layoutMsixBar(vectors: number): MsixBarLayout {
  let sizeBytes = LEAST_BYTES;
  while (sizeBytes / 2 < vectors * PCI_MSIX_ENTRY_SIZE) sizeBytes *= 2;
  return { pendingOffset: sizeBytes / 2, sizeBytes };
}
