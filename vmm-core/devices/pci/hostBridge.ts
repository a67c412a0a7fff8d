/**
 * Bus 0 as the processors see it: configuration space by mechanism 1 and by ECAM, and the two windows that
 * functions' BARs are in. What is told to operating systems in ACPI tables is pciRoot.ts.
 */
import * as abi from '../../abi/hostBridge.ts';
import { type Registers, type StateBlock, u32 } from '../../bus/stateBlock.ts';
import { PCI_ECAM, PCI_ECAM_BYTES } from '../../memory/layout.ts';
import type { Device, DeviceClass } from '../device.ts';
import type { PciBus } from './pciBus.ts';
import { PCI_ROOT } from './pciRoot.ts';
import { PCI_IO_WINDOW, PCI_MEMORY_WINDOW } from './pciWindows.ts';

const STATE = { configAddress: u32 };
type State = typeof STATE;

/** The device sees a port and an address as themselves: all of its ports are below its memory. */
export const hostBridge = {
  id: 'host-bridge',
  state: STATE,
  resources: () => ({
    ports: [
      window(abi.PORT_CONFIG_ADDRESS, 4, { isDwordOnly: true }),
      window(abi.PORT_CONFIG_DATA, abi.CONFIG_DATA_PORTS),
      window(PCI_IO_WINDOW.base, PCI_IO_WINDOW.end - PCI_IO_WINDOW.base),
    ],
    mmio: [
      window(PCI_MEMORY_WINDOW.base, PCI_MEMORY_WINDOW.end - PCI_MEMORY_WINDOW.base),
      window(PCI_ECAM, PCI_ECAM_BYTES),
    ],
    pci: {
      slot: { device: 0, function: 0 },
      ids: { ...abi.HOST_BRIDGE_IDS, subsystemVendorId: 0, subsystemId: 0 },
    },
  }),
  firmware: () => PCI_ROOT,
  build: (_, { state, pciBus }) => new HostBridge({ state, pciBus }),
} satisfies DeviceClass<unknown, State>;

class HostBridge implements Device {
  readonly name = 'host-bridge';
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #bus: PciBus;

  constructor({ state, pciBus }: { readonly state: StateBlock<State>; readonly pciBus: PciBus }) {
    this.#state = state;
    this.#regs = state.regs;
    this.#bus = pciBus;
  }

  /** With all that is on the bus. */
  reset(): void {
    this.#state.locked(() => (this.#regs.configAddress = 0));
    this.#bus.reset();
  }

  read(at: number, sizeBytes: number): number {
    if (at >= PCI_ECAM) return this.#bus.readConfig(ecamDevfn(at), at & abi.ECAM_REGISTER, sizeBytes);
    if (at >= PCI_MEMORY_WINDOW.base) return this.#bus.memory.read(at, sizeBytes);
    if (at >= PCI_IO_WINDOW.base) return this.#bus.ports.read(at, sizeBytes);
    if (at === abi.PORT_CONFIG_ADDRESS) return this.#regs.configAddress & abi.CONFIG_READABLE;
    const devfn = this.#selected();
    return devfn < 0 ? NOBODY : this.#bus.readConfig(devfn, this.#register(at, sizeBytes), sizeBytes);
  }

  write(at: number, sizeBytes: number, value: number): void {
    if (at >= PCI_ECAM) this.#bus.writeConfig(ecamDevfn(at), at & abi.ECAM_REGISTER, sizeBytes, value);
    else if (at >= PCI_MEMORY_WINDOW.base) this.#bus.memory.write(at, sizeBytes, value);
    else if (at >= PCI_IO_WINDOW.base) this.#bus.ports.write(at, sizeBytes, value);
    else if (at === abi.PORT_CONFIG_ADDRESS) this.#select(value);
    else this.#writeData(at, sizeBytes, value);
  }

  #select(value: number): void {
    this.#state.locked(() => (this.#regs.configAddress = value));
  }

  #writeData(at: number, sizeBytes: number, value: number): void {
    const devfn = this.#selected();
    if (devfn >= 0) this.#bus.writeConfig(devfn, this.#register(at, sizeBytes), sizeBytes, value);
  }

  /** The function that CONFIG_DATA is of; -1: none. There is one bus. */
  #selected(): number {
    const address = this.#regs.configAddress;
    if (address < abi.CONFIG_ENABLE || (address & abi.CONFIG_BUS) !== 0) return -1;
    return (address >>> abi.CONFIG_DEVFN_SHIFT) & 0xff;
  }

  /**
   * Which byte of the DWORD is the port's business. Kernels that know no machine but QEMU put it into
   * CONFIG_ADDRESS, where it is reserved, and always use the first port.
   */
  #register(port: number, sizeBytes: number): number {
    const address = this.#regs.configAddress;
    const byte = sizeBytes === 4 ? 0 : (address | port) & abi.CONFIG_BYTE;
    return (address & abi.CONFIG_REGISTER) + byte;
  }
}

const NOBODY = 0xffff_ffff;

function window<M extends object>(base: number, sizeBytes: number, more?: M) {
  return { base, sizeBytes, offset: base, ...more };
}

function ecamDevfn(address: number): number {
  return ((address - PCI_ECAM) >>> abi.ECAM_DEVFN_SHIFT) & 0xff;
}
