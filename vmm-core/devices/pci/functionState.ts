/** The shared registers of a PCI function, the same for all but for the length of its MSI-X table. */
import { PCI_CFG_SPACE_SIZE, PCI_MSIX_ENTRY_SIZE, PCI_STD_NUM_BARS } from '../../abi/pci.ts';
import { bytes, u8 } from '../../bus/stateBlock.ts';

const BASE_BYTES = 4;
const PENDING_BITS = 64; // §6.8.2.10: the array is of quadwords

export type FunctionState = ReturnType<typeof makeState>;

const shapes = new Map<number, FunctionState>();

/** The same object for the same number: blocks of one shape share their accessors. */
export function functionState(msixVectors = 0): FunctionState {
  const shape = shapes.get(msixVectors) ?? makeState(msixVectors);
  shapes.set(msixVectors, shape);
  return shape;
}

function makeState(msixVectors: number) {
  return {
    config: bytes<number>(PCI_CFG_SPACE_SIZE),
    /** Where each BAR is decoded, 32 bits each; 0: nowhere. Under the bus's lock. */
    bases: bytes<number>(BASE_BYTES * PCI_STD_NUM_BARS),
    /** What the device wants of its interrupt pin, and what the line has. */
    isPinAsserted: u8,
    isLineAsserted: u8,
    msixTable: bytes<number>(PCI_MSIX_ENTRY_SIZE * msixVectors),
    msixPending: bytes<number>((Math.ceil(msixVectors / PENDING_BITS) * PENDING_BITS) / 8),
  };
}
