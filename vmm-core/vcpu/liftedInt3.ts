/**
 * The int3 of a breakpoint while it is taken out, so that one vCPU can step off it. All others are stopped.
 */
import type { GuestMemory } from '../memory/guestMemory.ts';
import { ARMED_SW, type ArmedBreakpoints, type PlantedInt3 } from './armedBreakpoints.ts';
import { OPCODE_INT3 } from './instruction.ts';

export class LiftedInt3 {
  readonly #armed: ArmedBreakpoints;
  readonly #memory: GuestMemory;
  #lifted: PlantedInt3 | undefined;

  constructor(armed: ArmedBreakpoints, memory: GuestMemory) {
    this.#armed = armed;
    this.#memory = memory;
  }

  /** Takes the int3 at `address` out, if there is one of ours. */
  lift(address: bigint): void {
    const entry = this.#armed.at(address);
    if (entry?.kind !== ARMED_SW) return;
    this.#memory.writeU8(entry.gpa, entry.original);
    this.#lifted = entry;
  }

  /** Puts it back, unless the guest rewrote the byte meanwhile (kernel text patching). */
  plant(): void {
    const entry = this.#lifted;
    this.#lifted = undefined;
    if (entry === undefined || this.#memory.readU8(entry.gpa) !== entry.original) return;
    this.#memory.writeU8(entry.gpa, OPCODE_INT3);
  }

  /** An int3 that still traps there is the guest's own. */
  isFrom(address: bigint): boolean {
    return this.#lifted?.address === address;
  }
}
