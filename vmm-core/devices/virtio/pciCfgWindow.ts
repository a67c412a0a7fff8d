/**
 * VIRTIO_PCI_CAP_PCI_CFG (virtio 1.2 §4.1.4.9): a window from configuration space into the modern BAR, for
 * firmware that cannot reach that. Offsets are those of the capability's third byte and on.
 */
import * as abi from '../../abi/virtioPci.ts';
import type { BusDevice } from '../../bus/busDevice.ts';
import { BAR, PCI_CFG_CAPABILITY } from './pciLayout.ts';
import type { VirtioRegisters } from './virtioRegisters.ts';

const START = abi.VIRTIO_PCI_CAP_LEN;
const WIDTHS = [1, 2, 4];

export class PciCfgWindow implements BusDevice {
  readonly name: string;
  readonly #registers: VirtioRegisters;
  readonly #modern: BusDevice;

  constructor(name: string, registers: VirtioRegisters, modern: BusDevice) {
    this.name = name;
    this.#registers = registers;
    this.#modern = modern;
  }

  read(offset: number, sizeBytes: number): number {
    const { regs } = this.#registers;
    switch (offset + START) {
      case abi.VIRTIO_PCI_CAP_BAR:
        return regs.pciCfgBar;
      case abi.VIRTIO_PCI_CAP_OFFSET:
        return regs.pciCfgOffset;
      case abi.VIRTIO_PCI_CAP_LENGTH:
        return regs.pciCfgLength;
      case abi.VIRTIO_PCI_CAP_PCI_CFG_DATA:
        return this.#isUsable ? this.#modern.read(regs.pciCfgOffset, regs.pciCfgLength) : 0;
      default:
        return readBytes(PCI_CFG_CAPABILITY, offset, sizeBytes);
    }
  }

  write(offset: number, _sizeBytes: number, value: number): void {
    const { regs } = this.#registers;
    switch (offset + START) {
      case abi.VIRTIO_PCI_CAP_BAR:
        this.#registers.select('pciCfgBar', value & 0xff);
        break;
      case abi.VIRTIO_PCI_CAP_OFFSET:
        this.#registers.select('pciCfgOffset', value);
        break;
      case abi.VIRTIO_PCI_CAP_LENGTH:
        this.#registers.select('pciCfgLength', value);
        break;
      case abi.VIRTIO_PCI_CAP_PCI_CFG_DATA:
        if (this.#isUsable) this.#modern.write(regs.pciCfgOffset, regs.pciCfgLength, value);
        break;
      default:
        break;
    }
  }

  /** §4.1.4.9.2: what the driver has to see to. */
  get #isUsable(): boolean {
    const { pciCfgBar, pciCfgOffset, pciCfgLength } = this.#registers.regs;
    return pciCfgBar === BAR.MODERN && WIDTHS.includes(pciCfgLength) && pciCfgOffset % pciCfgLength === 0;
  }
}

function readBytes(bytes: Uint8Array, offset: number, sizeBytes: number): number {
  let value = 0;
  for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + (bytes[offset + i] ?? 0);
  return value;
}
