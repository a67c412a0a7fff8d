/**
 * The breakpoints of all clients, and how each is armed: int3 in RAM by physical address, or a debug
 * register. Main thread; changes only while every vCPU is stopped (RunControl.hold). Conditions (vCPU, stack)
 * are checked here, after the stop.
 */
import { CR0_PG } from '../abi/x86.ts';
import type { BreakpointMode } from '../protocol/run.ts';
import type { Gpa, GuestMemory } from '../memory/guestMemory.ts';
import { walk } from '../memory/pageWalk.ts';
import {
  ARMED_HW,
  ARMED_SW,
  type Armed,
  type ArmedBreakpoints,
  MAX_ARMED,
  type PlantedInt3,
} from '../vcpu/armedBreakpoints.ts';
import { DEBUG_REGISTERS } from '../vcpu/guestDebug.ts';
import { OPCODE_INT3 } from '../vcpu/instruction.ts';
import type { VcpuThread } from '../vcpu/vcpuThread.ts';
import type { DebugFacilities } from './probe.ts';

/** What arming depends on. */
export type BreakpointFacilities = Pick<DebugFacilities, 'int3' | 'hardware'>;

export interface Breakpoint {
  readonly owner: unknown;
  /** Undefined: internal (the return of a stepped-over call), never reported. */
  readonly id: number | undefined;
  readonly address: bigint;
  readonly mode: BreakpointMode;
  readonly temporary: boolean;
  readonly cpu?: number;
  readonly stackAbove?: bigint;
}

export interface Status {
  readonly id: number;
  readonly verified: boolean;
  readonly armed?: 'hw' | 'sw';
  readonly message?: string;
}

/** A breakpoint a vCPU is at: its owner, and its number there. */
export type Hit = Pick<Breakpoint, 'owner' | 'id'>;

const PAGE_BYTES = 4096;

type Outcome = { readonly entry: Armed } | { readonly message: string };

export class Breakpoints {
  readonly #memory: GuestMemory;
  readonly #armed: ArmedBreakpoints;
  readonly #threads: readonly VcpuThread[];
  readonly #facilities: () => BreakpointFacilities;
  #wanted: Breakpoint[] = [];
  #outcomes = new Map<bigint, Outcome>();

  constructor(
    memory: GuestMemory,
    armed: ArmedBreakpoints,
    threads: readonly VcpuThread[],
    facilities: () => BreakpointFacilities,
  ) {
    this.#memory = memory;
    this.#armed = armed;
    this.#threads = threads;
    this.#facilities = facilities;
  }

  /** Replaces the breakpoints of one client. Returns a status for each, in order. */
  replace(owner: unknown, breakpoints: readonly Breakpoint[]): Status[] {
    this.#wanted = [...this.#wanted.filter((it) => it.owner !== owner), ...breakpoints];
    this.arm();
    return breakpoints.flatMap(({ id, address }) => (id === undefined ? [] : [this.#status(id, address)]));
  }

  isArmedAt(address: bigint): boolean {
    return this.#armed.at(address) !== undefined;
  }

  /** The breakpoints at the vCPU's RIP whose conditions hold, internal ones too. */
  hitBy(cpu: number, thread: VcpuThread | undefined): readonly Hit[] {
    if (thread === undefined) return [];
    const { linearRip, rsp } = thread.vcpu.run;
    return this.#wanted.filter(
      (it) =>
        it.address === linearRip &&
        (it.cpu === undefined || it.cpu === cpu) &&
        (it.stackAbove === undefined || rsp > it.stackAbove),
    );
  }

  /** For the return from a call: its stack pointer is above the callee's. */
  addInternal(address: bigint, cpu: number, stackAbove: bigint): Breakpoint {
    const added: Breakpoint = {
      owner: this,
      id: undefined,
      address,
      mode: 'auto',
      temporary: false,
      cpu,
      stackAbove,
    };
    this.#wanted.push(added);
    this.arm();
    return added;
  }

  removeInternal(breakpoint: Breakpoint): void {
    this.#wanted = this.#wanted.filter((it) => it !== breakpoint);
    this.arm();
  }

  dropTemporary(): void {
    if (!this.#wanted.some((it) => it.temporary)) return;
    this.#wanted = this.#wanted.filter((it) => !it.temporary);
    this.arm();
  }

  /** Hides planted int3s in bytes read from `gpa`. */
  hide(gpa: number, bytes: Uint8Array): void {
    this.hider()(gpa, bytes);
  }

  /**
   * `hide` for many pieces: the list of breakpoints is searched once, not once per piece. Valid until it
   * changes.
   */
  hider(): (gpa: number, bytes: Uint8Array) => void {
    const byPage = new Map<number, PlantedInt3[]>();
    for (const entry of this.#armed.entries()) {
      if (entry.kind !== ARMED_SW) continue;
      const page = Math.floor(entry.gpa / PAGE_BYTES);
      byPage.set(page, [...(byPage.get(page) ?? []), entry]);
    }
    return (gpa, bytes) => {
      if (byPage.size === 0) return;
      const last = Math.floor((gpa + bytes.length - 1) / PAGE_BYTES);
      for (let page = Math.floor(gpa / PAGE_BYTES); page <= last; page++) {
        for (const entry of byPage.get(page) ?? []) {
          const offset = entry.gpa - gpa;
          if (offset >= 0 && offset < bytes.length && bytes[offset] === OPCODE_INT3)
            bytes[offset] = entry.original;
        }
      }
    };
  }

  /**
   * Runs `body`, which changes RAM, on the real bytes: int3s are taken out before and planted over the new
   * contents after.
   */
  withoutPlanted<T>(body: () => T): T {
    this.#unplant();
    try {
      return body();
    } finally {
      this.arm();
    }
  }

  /** RAM was replaced (reset): nothing is planted any more. */
  forgetPlanted(): void {
    this.#armed.replace([]);
    this.arm();
  }

  /**
   * Decides anew how every wanted address is armed: pages may have been mapped since the last stop.
   */
  arm(): void {
    this.#unplant();
    this.#outcomes = new Map();
    const armed: Armed[] = [];
    for (const { address, mode } of this.#wanted) {
      // Of several at one address the first that can be armed serves all.
      if ('entry' in (this.#outcomes.get(address) ?? {})) continue;
      const outcome = this.#decide(address, mode, armed);
      this.#outcomes.set(address, outcome);
      if ('entry' in outcome) armed.push(outcome.entry);
    }
    for (const entry of armed) if (entry.kind === ARMED_SW) this.#memory.writeU8(entry.gpa, OPCODE_INT3);
    this.#armed.replace(armed);
  }

  #unplant(): void {
    for (const entry of this.#armed.entries()) {
      // The guest may have rewritten the byte (kernel text patching): then it is no longer ours.
      if (entry.kind === ARMED_SW && this.#memory.readU8(entry.gpa) === OPCODE_INT3) {
        this.#memory.writeU8(entry.gpa, entry.original);
      }
    }
    this.#armed.replace([]);
  }

  #decide(address: bigint, mode: BreakpointMode, armed: readonly Armed[]): Outcome {
    const facilities = this.#facilities();
    if (armed.length >= MAX_ARMED) return { message: `more than ${MAX_ARMED} breakpoints: remove some` };
    const freeRegister =
      facilities.hardware && armed.filter(({ kind }) => kind === ARMED_HW).length < DEBUG_REGISTERS;
    const mapping = this.#mapping(address);
    const hardware: Outcome = { entry: { kind: ARMED_HW, address } };
    if (mode === 'hw') {
      if (freeRegister) return hardware;
      return {
        message: facilities.hardware
          ? REGISTERS_USED
          : 'this host has no hardware breakpoints: use mode auto or sw',
      };
    }
    const preferHardware =
      mode === 'auto' && freeRegister && (mapping === undefined || !mapping.paged || !facilities.int3);
    if (preferHardware) return hardware;
    if (!facilities.int3) {
      return {
        message:
          mode === 'sw' ? 'this host cannot deliver int3 to the debugger: use mode hw' : REGISTERS_USED,
      };
    }
    if (mapping === undefined) {
      return {
        message:
          mode === 'sw'
            ? 'the address is not mapped yet: use mode hw, or stop later'
            : `${REGISTERS_USED}, and the page is not mapped yet`,
      };
    }
    return {
      entry: { kind: ARMED_SW, address, gpa: mapping.gpa, original: this.#memory.readU8(mapping.gpa) },
    };
  }

  /**
   * Where the address is in RAM, as seen by the first vCPU that maps it. `paged`: by page tables, not by
   * identity.
   */
  #mapping(address: bigint): { gpa: Gpa; paged: boolean } | undefined {
    for (const { vcpu } of this.#threads) {
      const state = vcpu.run.readSystem();
      const { gpa } = walk(this.#memory, state, address);
      if (gpa !== undefined) return { gpa, paged: (state.cr0 & CR0_PG) !== 0n };
    }
    return undefined;
  }

  #status(id: number, address: bigint): Status {
    const outcome = this.#outcomes.get(address);
    if (outcome === undefined || 'message' in outcome) {
      return { id, verified: false, message: outcome?.message ?? 'not armed' };
    }
    return { id, verified: true, armed: outcome.entry.kind === ARMED_HW ? 'hw' : 'sw' };
  }
}

const REGISTERS_USED = `all ${DEBUG_REGISTERS} debug registers are used`;
