/**
 * The breakpoints a session wants and their state in the VM. DAP sets breakpoints group by group (one source
 * file, all functions, all instructions); vmm-core takes one list: this is where they meet. One DAP
 * breakpoint may be several addresses (inlined copies).
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { BreakpointMode, BreakpointSpec, BreakpointStatus } from '../../vmm-core/protocol/run.ts';
import { messageOf } from '../errors.ts';
import { Pace } from '../pace.ts';
import { hex, type VmTarget } from '../target/vmTarget.ts';
import { Turns } from './turns.ts';

export type BreakpointKind = 'source' | 'function' | 'instruction';

/** Where a request leads with the symbols loaded now. */
export interface Placement {
  readonly addresses: readonly bigint[];
  /** What DAP shows of it: the line that really has code, an instruction reference. */
  readonly shown: Pick<
    DebugProtocol.Breakpoint,
    'line' | 'column' | 'source' | 'instructionReference' | 'offset'
  >;
  /** Why it has no address. */
  readonly problem?: { readonly reason: 'pending' | 'failed'; readonly message: string };
}

export interface WantedBreakpoint {
  /** Same key in the same group: the same breakpoint, which keeps its id. */
  readonly key: string;
  readonly kind: BreakpointKind;
  readonly mode?: BreakpointMode;
  readonly place: () => Placement | Promise<Placement>;
}

export interface TemporaryBreakpoint {
  readonly address: bigint;
  readonly cpu: number;
  readonly stackAbove?: bigint;
}

interface Entry {
  readonly id: number;
  wanted: WantedBreakpoint;
  placement: Placement;
  /** Ids of its addresses in the VM. */
  vmIds: number[];
  statuses: readonly BreakpointStatus[];
  /** The VM's error when it did not take the list. */
  failure?: string | undefined;
}

export class SessionBreakpoints {
  readonly #groups = new Map<string, Entry[]>();
  /** Per group: finding places takes time, and an earlier list must not overtake a later one. */
  readonly #replacing = new Map<string, Turns>();
  readonly #temporary = new Map<number, BreakpointSpec>();
  #nextId = 1;
  #nextVmId = 1;
  #defaultMode: BreakpointMode = 'auto';
  #target: VmTarget | undefined;
  /** Lists reach the VM one at a time, in the order they were asked for. */
  readonly #sending = new Turns();

  /** From here on the VM follows the table. */
  attach(target: VmTarget, defaultMode: BreakpointMode): void {
    this.#target = target;
    this.#defaultMode = defaultMode;
    // The VM has dropped them: any stop removes temporary ones.
    target.on('stopped', () => this.#temporary.clear());
  }

  /** Stops following: the VM is gone or was detached from. */
  detach(): void {
    this.#target = undefined;
  }

  /** Replaces one group. Resolves when the VM has it; the result is in the order of `wanted`. */
  replace(group: string, wanted: readonly WantedBreakpoint[]): Promise<DebugProtocol.Breakpoint[]> {
    const turns = this.#replacing.get(group) ?? new Turns();
    this.#replacing.set(group, turns);
    return turns.take(() => this.#replaceNow(group, wanted));
  }

  async #replaceNow(group: string, wanted: readonly WantedBreakpoint[]): Promise<DebugProtocol.Breakpoint[]> {
    const old = new Map<string, number[]>(); // the same place may be wanted twice
    for (const { wanted: it, id } of this.#groups.get(group) ?? [])
      old.set(it.key, [...(old.get(it.key) ?? []), id]);
    const entries: Entry[] = [];
    const pace = new Pace();
    for (const it of wanted) {
      const id = old.get(it.key)?.shift() ?? this.#nextId++;
      entries.push({ id, wanted: it, placement: await it.place(), vmIds: [], statuses: [] });
      await pace.turn();
    }
    this.#groups.set(group, entries);
    await this.#send();
    return entries.map(describe);
  }

  /** Places everything again, after symbols changed. Returns the breakpoints whose state changed. */
  async relocate(): Promise<DebugProtocol.Breakpoint[]> {
    const entries = this.#entries();
    const before = entries.map((it) => JSON.stringify(describe(it)));
    const pace = new Pace();
    for (const it of entries) {
      it.placement = await it.wanted.place();
      await pace.turn();
    }
    await this.#send();
    return entries.filter((it, i) => JSON.stringify(describe(it)) !== before[i]).map(describe);
  }

  /**
   * A breakpoint of the debugger's own until the next stop. Resolves to its id in the VM when it is armed.
   */
  async addTemporary(wanted: TemporaryBreakpoint): Promise<number> {
    const id = this.#nextVmId++;
    this.#temporary.set(id, {
      id,
      address: hex(wanted.address),
      mode: this.#defaultMode,
      temporary: true,
      cpu: wanted.cpu,
      ...(wanted.stackAbove === undefined ? {} : { stackAbove: hex(wanted.stackAbove) }),
    });
    const status = (await this.#send()).find((it) => it.id === id);
    if (status?.verified !== true) {
      this.#temporary.delete(id);
      throw new Error(status?.message ?? 'the VM could not set a temporary breakpoint');
    }
    return id;
  }

  /** The DAP breakpoints of these ids of the VM, each once. */
  hits(vmIds: readonly number[]): { readonly id: number; readonly kind: BreakpointKind }[] {
    const hit = new Set(vmIds);
    return this.#entries()
      .filter((it) => it.vmIds.some((vmId) => hit.has(vmId)))
      .map((it) => ({ id: it.id, kind: it.wanted.kind }));
  }

  #entries(): Entry[] {
    return [...this.#groups.values()].flat();
  }

  async #send(): Promise<readonly BreakpointStatus[]> {
    const target = this.#target;
    return target === undefined ? [] : this.#sending.take(() => this.#sendNow(target));
  }

  async #sendNow(target: VmTarget): Promise<readonly BreakpointStatus[]> {
    const entries = this.#entries();
    const specs = entries.flatMap((entry) => this.#specs(entry));
    try {
      const statuses = await target.setBreakpoints([...specs, ...this.#temporary.values()]);
      const byId = new Map(statuses.map((it) => [it.id, it]));
      for (const entry of entries) {
        entry.statuses = entry.vmIds.flatMap((id) => byId.get(id) ?? []);
        entry.failure = undefined;
      }
      return statuses;
    } catch (error) {
      for (const entry of entries) {
        entry.statuses = [];
        entry.failure = messageOf(error);
      }
      return [];
    }
  }

  #specs(entry: Entry): BreakpointSpec[] {
    const { addresses } = entry.placement;
    while (entry.vmIds.length < addresses.length) entry.vmIds.push(this.#nextVmId++);
    entry.vmIds.length = addresses.length;
    const mode = entry.wanted.mode ?? this.#defaultMode;
    return addresses.map((address, i) => ({ id: entry.vmIds[i] ?? 0, address: hex(address), mode }));
  }
}

function describe(entry: Entry): DebugProtocol.Breakpoint {
  const { placement, statuses } = entry;
  const base = { id: entry.id, ...placement.shown };
  if (placement.problem !== undefined) return { ...base, verified: false, ...placement.problem };
  if (statuses.some((it) => it.verified)) return { ...base, verified: true };
  const refused = statuses.find((it) => it.message !== undefined)?.message ?? entry.failure;
  if (refused !== undefined) return { ...base, verified: false, reason: 'failed', message: refused };
  return { ...base, verified: false, reason: 'pending', message: 'the VM has not started yet' };
}
