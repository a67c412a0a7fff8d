/**
 * One function of the PCI bus on this thread: its configuration space, interrupt pin and MSI-X over shared
 * registers. Its lock orders interrupts with what masks them; the bus's lock, which is taken first, orders
 * writes that move BARs (pciBus.ts). A device may raise interrupts with its own lock held.
 */
import * as abi from '../../abi/pci.ts';
import type { BusDevice } from '../../bus/busDevice.ts';
import type { IrqLine } from '../../bus/irqLine.ts';
import type { MsiSender } from '../../bus/msiSender.ts';
import type { Registers, StateBlock } from '../../bus/stateBlock.ts';
import { type ConfigSpace, configSpace } from './configSpace.ts';
import type { FunctionState } from './functionState.ts';
import { Msix } from './msix.ts';
import type { PlannedBar, PlannedFunction } from './pciPlan.ts';
import type { PciResources } from './pciResources.ts';

/** What a device has behind its BARs and capabilities; see Device. */
export interface FunctionParts {
  readonly bars?: readonly (BusDevice | undefined)[] | undefined;
  readonly capabilities?: readonly (BusDevice | undefined)[] | undefined;
}

export interface PciFunctionOptions {
  readonly resources: PciResources;
  readonly planned: PlannedFunction;
  readonly state: StateBlock<FunctionState>;
  /** Of its pin, if it has one. */
  readonly line?: IrqLine;
  readonly msi: MsiSender;
}

/** A capability's third byte is where its own part starts. */
const BODY = 2;

export class PciFunction {
  readonly planned: PlannedFunction;
  readonly #resources: PciResources;
  readonly #space: ConfigSpace;
  readonly #state: StateBlock<FunctionState>;
  readonly #regs: Registers<FunctionState>;
  readonly #config: DataView;
  readonly #bases: DataView;
  readonly #line: IrqLine | undefined;
  readonly #msix: Msix;
  readonly #msixBar: BusDevice;
  readonly #raiseLocked: () => void;
  #parts: FunctionParts = {};
  #listener: ((bar: number, base: number | undefined) => void) | undefined;
  /** The argument of #raiseLocked, which is made once so that an interrupt allocates nothing. */
  #vector = 0;

  constructor({ resources, planned, state, line, msi }: PciFunctionOptions) {
    this.planned = planned;
    this.#resources = resources;
    this.#space = configSpace(resources, planned);
    this.#state = state;
    this.#regs = state.regs;
    this.#config = viewOf(state.regs.config);
    this.#bases = viewOf(state.regs.bases);
    this.#line = line;
    this.#msix = new Msix(state.regs, msi);
    this.#msixBar = {
      name: 'msix',
      read: (offset, sizeBytes) => this.#state.locked(() => this.#msix.read(offset, sizeBytes)),
      write: (offset, sizeBytes, value) =>
        this.#state.locked(() => this.#msix.write(offset, sizeBytes, value, this.#isHeld())),
    };
    this.#raiseLocked = () => {
      if (this.isMsixEnabled) this.#msix.raise(this.#vector, this.#isHeld());
    };
  }

  /** Once the device of this thread is built. */
  connect(parts: FunctionParts): void {
    this.#parts = parts;
  }

  /** As firmware leaves it. */
  reset(): void {
    this.#state.locked(() => {
      this.#regs.config.set(this.#space.initial);
      this.#regs.isPinAsserted = 0;
      this.#msix.reset();
      this.#updateLine();
    });
  }

  /** Within the configuration space. */
  readConfig(offset: number, sizeBytes: number): number {
    const capability = this.#capabilityAt(offset, sizeBytes);
    if (capability !== undefined) return capability.device.read(offset - capability.base, sizeBytes);
    return get(this.#config, offset, sizeBytes);
  }

  /** True: a device has it, and nothing of the bus changes. Without the bus's lock. */
  writeCapability(offset: number, sizeBytes: number, value: number): boolean {
    const capability = this.#capabilityAt(offset, sizeBytes);
    capability?.device.write(offset - capability.base, sizeBytes, value);
    return capability !== undefined;
  }

  /** With the bus's lock. */
  writeConfig(offset: number, sizeBytes: number, value: number): void {
    this.#state.locked(() => {
      const before = get(this.#config, offset, sizeBytes);
      const writable = maskAt(this.#space.writable, offset, sizeBytes);
      const cleared = value & maskAt(this.#space.clearable, offset, sizeBytes);
      set(this.#config, offset, sizeBytes, ((before & ~writable) | (value & writable)) & ~cleared);
      if (!this.#isHeld()) this.#msix.release();
      this.#updateLine();
    });
  }

  /** Where the guest wants a BAR; undefined: it is switched off. With the bus's lock. */
  wantedBase({ index, kind, sizeBytes }: PlannedBar): number | undefined {
    const decode = kind === 'io' ? abi.PCI_COMMAND_IO : abi.PCI_COMMAND_MEMORY;
    if ((this.#command & decode) === 0) return undefined;
    const offset = abi.PCI_BASE_ADDRESS_0 + 4 * index;
    const low = (this.#config.getUint32(offset, true) & (2 ** 32 - sizeBytes)) >>> 0;
    return kind === 'memory64' ? this.#config.getUint32(offset + 4, true) * 2 ** 32 + low : low;
  }

  /** Where a BAR is decoded; 0: nowhere. */
  base(bar: number): number {
    return this.#bases.getUint32(4 * bar, true);
  }

  /** With the bus's lock. */
  setBase(bar: number, base: number): void {
    this.#bases.setUint32(4 * bar, base, true);
    this.#tell(bar);
  }

  deviceBehind(bar: number): BusDevice | undefined {
    return bar === this.#resources.msixBar ? this.#msixBar : this.#parts.bars?.[bar];
  }

  /** With the bus's lock. */
  listen(listener: (bar: number, base: number | undefined) => void): void {
    this.#listener = listener;
    for (const { index } of this.planned.bars) this.#tell(index);
  }

  get isBusMaster(): boolean {
    return (this.#command & abi.PCI_COMMAND_MASTER) !== 0;
  }

  get isMsixEnabled(): boolean {
    return (this.#msixFlags & abi.PCI_MSIX_FLAGS_ENABLE) !== 0;
  }

  raise(vector: number): void {
    this.#vector = vector;
    this.#state.locked(this.#raiseLocked);
  }

  setPin(asserted: boolean): void {
    this.#state.locked(() => {
      this.#regs.isPinAsserted = asserted ? 1 : 0;
      this.#updateLine();
    });
  }

  get #command(): number {
    return this.#config.getUint16(abi.PCI_COMMAND, true);
  }

  get #msixFlags(): number {
    const { msix } = this.#space;
    return msix === 0 ? 0 : this.#config.getUint16(msix + abi.PCI_MSIX_FLAGS, true);
  }

  /** A message is a write to memory: one that is not allowed yet waits as if it were masked. */
  #isHeld(): boolean {
    const flags = this.#msixFlags & (abi.PCI_MSIX_FLAGS_ENABLE | abi.PCI_MSIX_FLAGS_MASKALL);
    return flags !== abi.PCI_MSIX_FLAGS_ENABLE || !this.isBusMaster;
  }

  /** §6.2.3: the status bit tells the pin whether or not it is disabled. §6.8.3.3: MSI-X takes its place. */
  #updateLine(): void {
    const regs = this.#regs;
    const status = this.#config.getUint16(abi.PCI_STATUS, true) & ~abi.PCI_STATUS_INTERRUPT;
    const pin = regs.isPinAsserted === 0 ? 0 : abi.PCI_STATUS_INTERRUPT;
    this.#config.setUint16(abi.PCI_STATUS, status | pin, true);
    const isEnabled = (this.#command & abi.PCI_COMMAND_INTX_DISABLE) === 0 && !this.isMsixEnabled;
    const level = isEnabled ? regs.isPinAsserted : 0;
    if (level === regs.isLineAsserted) return;
    regs.isLineAsserted = level;
    this.#line?.set(level !== 0);
  }

  #tell(bar: number): void {
    const base = this.base(bar);
    this.#listener?.(bar, base === 0 ? undefined : base);
  }

  /** The device that answers for this part of a capability. */
  #capabilityAt(offset: number, sizeBytes: number): { device: BusDevice; base: number } | undefined {
    const devices = this.#parts.capabilities;
    if (devices === undefined) return undefined;
    const index = this.#space.vendor.findIndex(
      (it) => offset >= it.offset + BODY && offset + sizeBytes <= it.offset + it.sizeBytes,
    );
    const place = this.#space.vendor[index];
    const device = devices[index];
    return place === undefined || device === undefined ? undefined : { device, base: place.offset + BODY };
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function get(view: DataView, offset: number, sizeBytes: number): number {
  if (sizeBytes === 1) return view.getUint8(offset);
  return sizeBytes === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true);
}

function set(view: DataView, offset: number, sizeBytes: number, value: number): void {
  if (sizeBytes === 1) view.setUint8(offset, value);
  else if (sizeBytes === 2) view.setUint16(offset, value, true);
  else view.setUint32(offset, value, true);
}

function maskAt(masks: Uint8Array, offset: number, sizeBytes: number): number {
  let mask = 0;
  for (let i = sizeBytes - 1; i >= 0; i--) mask = (mask << 8) | (masks[offset + i] ?? 0);
  return mask;
}
