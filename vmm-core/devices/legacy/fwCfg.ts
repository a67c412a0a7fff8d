/**
 * QEMU's firmware configuration device, its traditional interface: a guest selects an item and reads it byte
 * by byte. It has what kernels ask a machine of QEMU's for (how many CPUs, how much memory); there are no
 * files. Unknown items are empty and read 0.
 */
import * as abi from '../../abi/fwCfg.ts';
import { type Registers, type StateBlock, u16, u32 } from '../../bus/stateBlock.ts';
import { MIB } from '../../memory/layout.ts';
import type { Device, DeviceClass } from '../device.ts';

const STATE = { selector: u16, offset: u32 };
type State = typeof STATE;

const SIGNATURE = [0x51, 0x45, 0x4d, 0x55]; // "QEMU"

/** What the items say. */
export interface FwCfgMachine {
  readonly cpus: number;
  readonly memoryBytes: number;
}

export const fwCfg = {
  id: 'fw-cfg',
  state: STATE,
  instances: ({ cpus, memoryBytes }) => [{ cpus, memoryBytes }],
  resources: () => ({ ports: [{ base: abi.PORT_FW_CFG_SELECTOR, sizeBytes: abi.FW_CFG_PORTS }] }),
  build: (machine, host) => new FwCfg({ ...host, machine }),
} satisfies DeviceClass<FwCfgMachine, State>;

export class FwCfg implements Device {
  readonly name = 'fw-cfg';
  readonly accessBytes = 2;
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #machine: FwCfgMachine;

  constructor(options: { readonly state: StateBlock<State>; readonly machine: FwCfgMachine }) {
    this.#state = options.state;
    this.#regs = options.state.regs;
    this.#machine = options.machine;
  }

  reset(): void {
    this.#state.locked(() => this.#select(abi.FW_CFG_SIGNATURE));
  }

  /** The selector reads 0. A word at the selector's port is not the data behind it. */
  read(offset: number, sizeBytes: number): number {
    if (offset !== abi.FW_CFG_DATA || sizeBytes !== 1) return 0;
    return this.#state.locked(() => this.#item()[this.#regs.offset++] ?? 0);
  }

  /** Items can no longer be written. */
  write(offset: number, sizeBytes: number, value: number): void {
    if (offset === abi.FW_CFG_SELECTOR && sizeBytes === 2) this.#state.locked(() => this.#select(value));
  }

  #select(key: number): void {
    this.#regs.selector = key;
    this.#regs.offset = 0;
  }

  #item(): readonly number[] {
    const { cpus, memoryBytes } = this.#machine;
    switch (this.#regs.selector) {
      case abi.FW_CFG_SIGNATURE:
        return SIGNATURE;
      case abi.FW_CFG_ID:
        return littleEndian(abi.FW_CFG_VERSION, 4);
      case abi.FW_CFG_RAM_SIZE:
        return littleEndian(Math.floor(memoryBytes / MIB) * MIB, 8);
      case abi.FW_CFG_NOGRAPHIC:
        return littleEndian(1, 2);
      case abi.FW_CFG_NB_CPUS:
      case abi.FW_CFG_MAX_CPUS:
        return littleEndian(cpus, 2);
      case abi.FW_CFG_FILE_DIR:
        return [0, 0, 0, 0];
      default:
        return [];
    }
  }
}

function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}
