/**
 * Bus 0 on this thread: the functions' configuration spaces, and which of them answers an address. Where each
 * BAR is decoded is shared; who moves one does that for all, under the bus's lock, and counts it in
 * `generation`, by which the other threads see that what they know is old.
 */
import { PCI_BASE_ADDRESS_0, PCI_CFG_SPACE_SIZE } from '../../abi/pci.ts';
import { Bus } from '../../bus/bus.ts';
import { type Registers, type StateBlock, u32 } from '../../bus/stateBlock.ts';
import type { PciFunction } from './pciFunction.ts';
import type { PciFunctionHost } from './pciFunctionHost.ts';
import type { PlannedBar } from './pciPlan.ts';
import type { PciSlot } from './pciResources.ts';
import { windowOf } from './pciWindows.ts';

const STATE = { generation: u32 };
const NOTHING_YET = -1;
/** What a function decodes, and where, is said before it: in the command register and six BARs. */
const END_OF_BARS = PCI_BASE_ADDRESS_0 + 6 * 4;

interface Place {
  readonly owner: PciFunction;
  readonly bar: PlannedBar;
  readonly base: number;
}

export class PciBus {
  static readonly state = STATE;

  readonly #state: StateBlock<typeof STATE>;
  readonly #regs: Registers<typeof STATE>;
  /** By devfn. */
  readonly #functions: (PciFunction | undefined)[] = [];
  readonly #memory = new Bus('mmio');
  readonly #ports = new Bus('mmio');
  /** The generation that the two are of. */
  #seen = NOTHING_YET;

  constructor(state: StateBlock<typeof STATE>) {
    this.#state = state;
    this.#regs = state.regs;
  }

  /** While a thread builds its devices. */
  add(it: PciFunction): PciFunctionHost {
    this.#functions[devfnOf(it.planned.slot)] = it;
    return {
      get isBusMaster() {
        return it.isBusMaster;
      },
      get isMsixEnabled() {
        return it.isMsixEnabled;
      },
      raise: (vector) => it.raise(vector),
      setPin: (asserted) => it.setPin(asserted),
      onBarPlaced: (listener) => this.#state.locked(() => it.listen(listener)),
    };
  }

  /** As firmware leaves it. Main thread, vCPUs are stopped. */
  reset(): void {
    this.#state.locked(() => {
      for (const it of this.#functions) it?.reset();
      this.#place();
    });
  }

  /** What the memory BARs decode, by address. */
  get memory(): Bus {
    if (this.#regs.generation !== this.#seen) this.#look();
    return this.#memory;
  }

  /** What the I/O BARs decode, by port. */
  get ports(): Bus {
    if (this.#regs.generation !== this.#seen) this.#look();
    return this.#ports;
  }

  /** §3.2.2.3.4: where no function is, all ones. `devfn`: device times 8, plus function. */
  readConfig(devfn: number, offset: number, sizeBytes: number): number {
    const it = this.#functions[devfn];
    if (it === undefined || offset + sizeBytes > PCI_CFG_SPACE_SIZE) return 0xffff_ffff;
    return it.readConfig(offset, sizeBytes);
  }

  writeConfig(devfn: number, offset: number, sizeBytes: number, value: number): void {
    const it = this.#functions[devfn];
    if (it === undefined || offset + sizeBytes > PCI_CFG_SPACE_SIZE) return;
    if (it.writeCapability(offset, sizeBytes, value)) return;
    this.#state.locked(() => {
      it.writeConfig(offset, sizeBytes, value);
      if (offset < END_OF_BARS) this.#place();
    });
  }

  /**
   * Decodes each BAR where the guest wants it. All that leave an address do so before others come to it: a
   * doorbell cannot be where another still is.
   */
  #place(): void {
    const moved = this.#wanted().filter(({ owner, bar, base }) => owner.base(bar.index) !== base);
    if (moved.length === 0) return;
    for (const { owner, bar } of moved) if (owner.base(bar.index) !== 0) owner.setBase(bar.index, 0);
    for (const { owner, bar, base } of moved) if (base !== 0) owner.setBase(bar.index, base);
    this.#regs.generation++;
  }

  /** A BAR outside its window, or over one of a lower function, is nowhere: 0. */
  #wanted(): Place[] {
    const places: Place[] = [];
    for (const owner of this.#functions) {
      for (const bar of owner?.planned.bars ?? []) {
        if (owner === undefined) continue;
        const base = owner.wantedBase(bar);
        const isFree =
          base !== undefined && isInside(bar, base) && !places.some((it) => overlaps(it, bar, base));
        places.push({ owner, bar, base: isFree ? base : 0 });
      }
    }
    return places;
  }

  #look(): void {
    this.#state.locked(() => {
      this.#memory.clear();
      this.#ports.clear();
      for (const owner of this.#functions) {
        for (const { index, kind, sizeBytes } of owner?.planned.bars ?? []) {
          const device = owner?.deviceBehind(index);
          const base = owner?.base(index) ?? 0;
          if (device === undefined || base === 0) continue;
          (kind === 'io' ? this.#ports : this.#memory).register(base, sizeBytes, device);
        }
      }
      this.#seen = this.#regs.generation;
    });
  }
}

function devfnOf({ device, function: number }: PciSlot): number {
  return device * 8 + number;
}

function isInside({ kind, sizeBytes }: PlannedBar, base: number): boolean {
  const window = windowOf(kind);
  return base >= window.base && base + sizeBytes <= window.end;
}

function overlaps(place: Place, bar: PlannedBar, base: number): boolean {
  if (place.base === 0 || (place.bar.kind === 'io') !== (bar.kind === 'io')) return false;
  return place.base < base + bar.sizeBytes && base < place.base + place.bar.sizeBytes;
}
