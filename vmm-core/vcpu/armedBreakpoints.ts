/**
 * The armed breakpoints, in memory shared by all threads. Main changes them only while every vCPU is stopped;
 * the mailbox's Atomics order the changes before the vCPUs run again. Conditions belong to main
 * (debug/breakpoints.ts).
 *
 *   u64 count, u64 generation (changes with every update), then per breakpoint: u64 linear address, u64 kind
 *   (0 hardware, 1 int3), u64 guest-physical address and u64 original byte of an int3
 */
import { type Gpa, gpa } from '../memory/guestMemory.ts';

export const ARMED_HW = 0;
export const ARMED_SW = 1;
export const MAX_ARMED = 1023;

const HEADER_QUADS = 2;
const ENTRY_QUADS = 4;

/** An int3 in RAM, and the guest's byte in its place. */
export interface PlantedInt3 {
  readonly kind: typeof ARMED_SW;
  readonly address: bigint;
  readonly gpa: Gpa;
  readonly original: number;
}

export type Armed = { readonly kind: typeof ARMED_HW; readonly address: bigint } | PlantedInt3;

export class ArmedBreakpoints {
  static readonly sizeBytes = 8 * (HEADER_QUADS + ENTRY_QUADS * MAX_ARMED);

  readonly buffer: SharedArrayBuffer;
  readonly #quads: BigUint64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(ArmedBreakpoints.sizeBytes)) {
    this.buffer = buffer;
    this.#quads = new BigUint64Array(buffer);
  }

  get count(): number {
    return Number(this.#quads[0]);
  }

  /** A thread whose debug registers are from another generation writes them again. */
  get generation(): number {
    return Number(this.#quads[1]);
  }

  replace(armed: readonly Armed[]): void {
    const kept = armed.slice(0, MAX_ARMED);
    kept.forEach((entry, i) => {
      const at = HEADER_QUADS + ENTRY_QUADS * i;
      this.#quads[at] = entry.address;
      this.#quads[at + 1] = BigInt(entry.kind);
      this.#quads[at + 2] = entry.kind === ARMED_SW ? BigInt(entry.gpa) : 0n;
      this.#quads[at + 3] = entry.kind === ARMED_SW ? BigInt(entry.original) : 0n;
    });
    this.#quads[0] = BigInt(kept.length);
    this.#quads[1] = BigInt(this.generation + 1);
  }

  at(address: bigint): Armed | undefined {
    for (let i = 0; i < this.count; i++) {
      if (this.#quads[HEADER_QUADS + ENTRY_QUADS * i] === address) return this.#entry(i);
    }
    return undefined;
  }

  /** Linear addresses that need a debug register. */
  hardware(): bigint[] {
    return this.entries().flatMap((entry) => (entry.kind === ARMED_HW ? [entry.address] : []));
  }

  entries(): Armed[] {
    return Array.from({ length: this.count }, (_, i) => this.#entry(i));
  }

  #entry(i: number): Armed {
    const at = HEADER_QUADS + ENTRY_QUADS * i;
    const address = this.#quads[at] ?? 0n;
    if (Number(this.#quads[at + 1]) === ARMED_HW) return { kind: ARMED_HW, address };
    return {
      kind: ARMED_SW,
      address,
      gpa: gpa(this.#quads[at + 2] ?? 0n),
      original: Number(this.#quads[at + 3]),
    };
  }
}
