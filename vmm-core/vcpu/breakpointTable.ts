/**
 * The armed breakpoints, in memory shared by all threads. Main changes it only while every vCPU is stopped; the mailbox's
 * Atomics order the changes before the vCPUs run again. Conditions belong to main (debug/breakpoints.ts).
 *
 *   u64 count, u64 generation (changes with every update), then per breakpoint:
 *   u64 linear address, u64 kind (0 hardware, 1 int3)
 */
export const ARMED_HW = 0;
export const ARMED_SW = 1;
export const MAX_ARMED = 1022;

const HEADER_QUADS = 2;
const ENTRY_QUADS = 2;

export interface Armed {
  readonly address: bigint;
  readonly kind: typeof ARMED_HW | typeof ARMED_SW;
}

export class BreakpointTable {
  static readonly sizeBytes = 8 * (HEADER_QUADS + ENTRY_QUADS * MAX_ARMED);

  readonly buffer: SharedArrayBuffer;
  readonly #quads: BigUint64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BreakpointTable.sizeBytes)) {
    this.buffer = buffer;
    this.#quads = new BigUint64Array(buffer);
  }

  get count(): number {
    return Number(this.#quads[0]);
  }

  /** A thread whose copy of the debug registers is of another generation writes them again. */
  get generation(): number {
    return Number(this.#quads[1]);
  }

  replace(armed: readonly Armed[]): void {
    armed.slice(0, MAX_ARMED).forEach(({ address, kind }, i) => {
      this.#quads[HEADER_QUADS + ENTRY_QUADS * i] = address;
      this.#quads[HEADER_QUADS + ENTRY_QUADS * i + 1] = BigInt(kind);
    });
    this.#quads[0] = BigInt(Math.min(armed.length, MAX_ARMED));
    this.#quads[1] = BigInt(this.generation + 1);
  }

  has(address: bigint): boolean {
    for (let i = 0; i < this.count; i++) if (this.#quads[HEADER_QUADS + ENTRY_QUADS * i] === address) return true;
    return false;
  }

  /** Linear addresses that need a debug register. */
  hardware(): bigint[] {
    const found: bigint[] = [];
    for (let i = 0; i < this.count; i++) {
      const at = HEADER_QUADS + ENTRY_QUADS * i;
      if (Number(this.#quads[at + 1]) === ARMED_HW) found.push(this.#quads[at] ?? 0n);
    }
    return found;
  }

  get hasSoftware(): boolean {
    return this.count > this.hardware().length;
  }
}
