/**
 * Where a machine's doorbells are now: shared memory, since a guest moves a BAR on one vCPU and each thread
 * says its new place.
 */
import type { DoorbellPlace, DoorbellWire } from '../bus/doorbell.ts';
import { type StateBlock, u32, u64, u8 } from '../bus/stateBlock.ts';
import type { Doorbell } from './device.ts';

const STATE = { isConnected: u8, isPort: u8, sizeBytes: u8, hasValue: u8, value: u32, address: u64 };

/** `isConnected`. */
const NOWHERE = 0;
const CONNECTED = 1;
/** KVM refused that place; it need not be asked again. */
const REFUSED = 2;

export class PlacedDoorbell implements Doorbell {
  static readonly state = STATE;

  readonly #wire: DoorbellWire;
  readonly #state: StateBlock<typeof STATE>;

  constructor(wire: DoorbellWire, state: StateBlock<typeof STATE>) {
    this.#wire = wire;
    this.#state = state;
  }

  ring(): void {
    this.#wire.ring();
  }

  place(at: DoorbellPlace | undefined): void {
    this.#state.locked(() => {
      const before = this.#place();
      if (isSame(before, at)) return;
      if (before !== undefined && this.#state.regs.isConnected === CONNECTED) this.#wire.disconnect(before);
      this.#remember(at);
    });
  }

  #place(): DoorbellPlace | undefined {
    const { isConnected, isPort, sizeBytes, hasValue, value, address } = this.#state.regs;
    if (isConnected === NOWHERE) return undefined;
    return {
      kind: isPort === 1 ? 'port' : 'mmio',
      address: Number(address),
      sizeBytes: sizeBytes as DoorbellPlace['sizeBytes'],
      ...(hasValue === 1 ? { value } : {}),
    };
  }

  #remember(at: DoorbellPlace | undefined): void {
    const { regs } = this.#state;
    regs.isConnected = at === undefined ? NOWHERE : this.#wire.connect(at) ? CONNECTED : REFUSED;
    if (at === undefined) return;
    regs.isPort = at.kind === 'port' ? 1 : 0;
    regs.sizeBytes = at.sizeBytes;
    regs.hasValue = at.value === undefined ? 0 : 1;
    regs.value = at.value ?? 0;
    regs.address = BigInt(at.address);
  }
}

function isSame(one: DoorbellPlace | undefined, other: DoorbellPlace | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.kind === other.kind &&
    one.address === other.address &&
    one.sizeBytes === other.sizeBytes &&
    one.value === other.value
  );
}
