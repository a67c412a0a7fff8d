/**
 * Two clients that speak no protocol drive the guest `counter`, whose ELF is the argument, as a gdb port or a
 * QMP port would: in the core's own process. A program, because a VM's threads end with their process. It
 * prints the outcome as one JSON object, which test/kvm/clients.test.ts checks.
 */
import path from 'node:path';
import { endProcess, standardOutput } from '../../vmm-core/client/output.ts';
import type { Client } from '../../vmm-core/control/client.ts';
import { Core } from '../../vmm-core/control/core.ts';
import { type MemoryPlace, Session } from '../../vmm-core/control/session.ts';
import { warmUp } from '../../vmm-core/machine/warmParts.ts';
import { readProgram } from '../../vmm-core/code/codeCache.ts';
import { VcpuWorker } from '../../vmm-core/vcpu/vcpuWorker.ts';
import { Arrivals } from './deadline.ts';
import { guestSymbols } from './guestSymbols.ts';
import { vmConfig } from './liveVm.ts';
import { VMM } from './vmmProcess.ts';

export type Told = readonly [what: string, news?: unknown];

/** Records what it is told. */
class SocketlessClient implements Client {
  readonly name: string;
  readonly isDebugger = true;
  readonly #told = new Arrivals<Told>('the next event');

  constructor(name: string) {
    this.name = name;
  }

  next(): Promise<Told> {
    return this.#told.take();
  }
  onStopped(event: unknown): void {
    this.#told.put(['stopped', event]);
  }
  onResumed(): void {
    this.#told.put(['resumed']);
  }
  onReset(message: string): void {
    this.#told.put(['reset', message]);
  }
  onChanged(change: unknown): void {
    this.#told.put(['changed', change]);
  }
  onTrouble(message: string): void {
    this.#told.put(['trouble', message]);
  }
  onEnded(end: unknown): void {
    this.#told.put(['ended', end]);
  }
}

/** What the program prints. */
export interface Driven {
  readonly state: string;
  readonly statuses: readonly unknown[];
  readonly hit: { readonly first: readonly Told[]; readonly second: readonly Told[] };
  readonly code: readonly number[];
  readonly stepped: Told;
  readonly rbx: string | undefined;
  readonly counter: readonly number[];
  readonly changes: readonly Told[];
  readonly gpa: number | undefined;
  readonly reset: Told;
  readonly ended: Told;
}

const ONE_INSTRUCTION = { start: 0n, end: 0n, over: false, interrupts: false };

async function drive(kernel: string): Promise<Driven> {
  const built = (file: string): string => path.join(path.dirname(VMM), file); // a thread's file must be
  const program = readProgram(built('vcpu.worker.js'));
  const worker = new VcpuWorker(program, built('compiled.worker.js'));
  const core = new Core(() => ({ ...warmUp({ thread: false }), worker }));
  const [first, second] = [new SocketlessClient('first'), new SocketlessClient('second')];
  const [owner, onlooker] = [new Session(core, first), new Session(core, second)];
  const symbol = guestSymbols(kernel);
  const at = (name: string): MemoryPlace => ({ address: BigInt(symbol(name)), physical: false, cpu: 0 });

  const { state } = await owner.create(vmConfig({ kernel, name: 'socketless' }));
  const atLoop = { address: at('loop').address, mode: 'sw', temporary: false } as const;
  const statuses = [
    await owner.setBreakpoints([{ ...atLoop, id: 5 }]),
    await onlooker.setBreakpoints([{ ...atLoop, id: 8 }]),
  ];
  owner.resume();
  const hit = {
    first: [await first.next(), await first.next()],
    second: [await second.next(), await second.next()],
  };
  const code = [...(await owner.readMemory(at('loop'), 1))];
  owner.step({ cpu: 0, ...ONE_INSTRUCTION });
  const [stepped] = [await first.next(), await second.next()];
  owner.writeRegisters(0, { rbx: 0x1234n });
  const { rbx } = onlooker.readRegisters(0).values;
  await owner.writeMemory(at('counter'), Uint8Array.of(7));
  const counter = [...(await onlooker.readMemory(at('counter'), 1))];
  const changes = [await second.next(), await second.next()];
  const { gpa } = owner.translate(at('counter').address, 0);
  await owner.reset();
  const [reset] = [await first.next(), await second.next()];
  owner.close();
  const ended = await second.next();
  return { state, statuses, hit, code, stepped, rbx, counter, changes, gpa, reset, ended };
}

async function main(): Promise<never> {
  standardOutput.write(JSON.stringify(await drive(process.argv[2] ?? '')));
  return endProcess(0);
}

if (process.argv[1] === import.meta.filename) void main();
