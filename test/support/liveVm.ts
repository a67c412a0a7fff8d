/**
 * A VM on the real /dev/kvm, driven as every client drives one: `vmm serve` started by spawnCore, the control
 * protocol through vmmClient. A test waits for events, never for time.
 */
import type { TestContext } from 'node:test';
import type { RequestType } from 'vscode-jsonrpc/node';
import { type CoreProcess, spawnCore } from '../../vmm-core/client/spawnCore.ts';
import { connectVmm, type VmmClient } from '../../vmm-core/client/vmmClient.ts';
import { parseVmConfig } from '../../vmm-core/config/parseVmConfig.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import { type Change, changed } from '../../vmm-core/protocol/changes.ts';
import { type MemoryParams, readMemory, translate, writeMemory } from '../../vmm-core/protocol/memory.ts';
import { type CpuRegisters, readRegisters, writeRegisters } from '../../vmm-core/protocol/registers.ts';
import {
  type BreakpointSpec,
  type BreakpointStatus,
  pause,
  resume,
  resumed,
  setBreakpoints,
  step,
  type StepParams,
  type StopEvent,
  stopped,
} from '../../vmm-core/protocol/run.ts';
import { serialAttach, serialInput, serialOutput } from '../../vmm-core/protocol/serial.ts';
import {
  create,
  detach,
  ended,
  info,
  kill,
  reset,
  type VmEnd,
  type VmInfo,
} from '../../vmm-core/protocol/vm.ts';
import { Arrivals, within } from './deadline.ts';
import { temporaryFolder, VMM } from './vmmProcess.ts';

type ResultOf<T> = T extends RequestType<infer _P, infer R, infer _E> ? R : never;
type Cleanup = Pick<TestContext, 'after'>;

/** One client's view of a core: requests as methods, events as things to take. */
export class LiveClient {
  readonly vmm: VmmClient;
  /** Resolves with the VM's end, told by `vm/ended`. */
  readonly ended: Promise<VmEnd>;
  readonly #stops = new Arrivals<StopEvent>('a stop of the VM');
  readonly #changes = new Arrivals<Change>('a change by another client');
  readonly #resumes = new Arrivals<true>('a resume of the VM');
  #serial = '';
  #serialChanged: () => void = () => undefined;

  constructor(vmm: VmmClient) {
    this.vmm = vmm;
    const { connection } = vmm;
    connection.onNotification(stopped, (event) => this.#stops.put(event));
    connection.onNotification(resumed, () => this.#resumes.put(true));
    connection.onNotification(changed, (change) => this.#changes.put(change));
    connection.onNotification(serialOutput, ({ data }) => this.#print(data));
    this.ended = new Promise((resolve) => connection.onNotification(ended, resolve));
  }

  create(config: VmConfig): Promise<VmInfo> {
    return within(this.vmm.connection.sendRequest(create, { config }), 'vm/create');
  }
  info(): Promise<VmInfo> {
    return within(this.vmm.connection.sendRequest(info), 'vm/info');
  }
  resume(): Promise<void> {
    return within(this.vmm.connection.sendRequest(resume), 'debug/resume');
  }
  /** Resolves when all vCPUs have stopped; the stop is still to be taken. */
  pause(): Promise<void> {
    return within(this.vmm.connection.sendRequest(pause), 'debug/pause');
  }
  reset(): Promise<void> {
    return within(this.vmm.connection.sendRequest(reset), 'vm/reset');
  }
  detach(): Promise<void> {
    return within(this.vmm.connection.sendRequest(detach), 'vm/detach');
  }
  kill(): Promise<void> {
    return within(this.vmm.connection.sendRequest(kill), 'vm/kill');
  }

  /** The next stop that was not taken yet. */
  stop(): Promise<StopEvent> {
    return this.#stops.take();
  }
  /** Stops that were not taken: none, when a test has looked at all of them. */
  untakenStops(): StopEvent[] {
    return this.#stops.takeAll();
  }
  /** What another client wrote. */
  change(): Promise<Change> {
    return this.#changes.take();
  }
  untakenChanges(): Change[] {
    return this.#changes.takeAll();
  }
  resumed(): Promise<true> {
    return this.#resumes.take();
  }

  async runUntilStop(): Promise<StopEvent> {
    await this.resume();
    return this.stop();
  }
  async step(params: Partial<StepParams> = {}): Promise<StopEvent> {
    await within(this.vmm.connection.sendRequest(step, { cpu: 0, ...params }), 'debug/step');
    return this.stop();
  }

  async setBreakpoints(...specs: readonly Partial<BreakpointSpec>[]): Promise<readonly BreakpointStatus[]> {
    const breakpoints = specs.map((spec, i) => ({
      id: i + 1,
      address: '0x0',
      mode: 'auto' as const,
      ...spec,
    }));
    const answer = this.vmm.connection.sendRequest(setBreakpoints, { breakpoints });
    return (await within(answer, 'debug/setBreakpoints')).breakpoints;
  }

  registers(cpu = 0): Promise<CpuRegisters> {
    return within(this.vmm.connection.sendRequest(readRegisters, { cpu }), 'debug/readRegisters');
  }
  writeRegisters(values: Readonly<Record<string, string>>, cpu = 0): Promise<CpuRegisters> {
    return within(this.vmm.connection.sendRequest(writeRegisters, { cpu, values }), 'debug/writeRegisters');
  }

  read(params: MemoryParams & { readonly lengthBytes: number }): Promise<ResultOf<typeof readMemory>> {
    return within(this.vmm.connection.sendRequest(readMemory, params), 'debug/readMemory');
  }
  async write(params: MemoryParams, bytes: readonly number[]): Promise<number> {
    const request = { ...params, data: Uint8Array.from(bytes) };
    const answer = await within(this.vmm.connection.sendRequest(writeMemory, request), 'debug/writeMemory');
    return answer.writtenBytes;
  }
  translate(params: MemoryParams): Promise<ResultOf<typeof translate>> {
    return within(this.vmm.connection.sendRequest(translate, params), 'debug/translate');
  }
  /** A 32-bit word at a linear address. */
  async word(address: string): Promise<number> {
    const { data } = await this.read({ address, lengthBytes: 4 });
    return new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true);
  }

  /** From now on, and what came before: `printed` waits for it. */
  async attachSerial(port = 0): Promise<void> {
    const answer = this.vmm.connection.sendRequest(serialAttach, { port });
    this.#print((await within(answer, 'serial/attach')).backlog);
  }
  type(text: string, port = 0): Promise<void> {
    return this.vmm.connection.sendNotification(serialInput, {
      port,
      data: Buffer.from(text, 'latin1'),
    });
  }
  get serial(): string {
    return this.#serial;
  }
  async printed(text: string): Promise<void> {
    const seen = async (): Promise<void> => {
      while (!this.#serial.includes(text))
        await new Promise<void>((resolve) => (this.#serialChanged = resolve));
    };
    await within(
      seen(),
      () => `"${text}" from the guest; so far: ${JSON.stringify(this.#serial.slice(-500))}`,
    );
  }

  #print(bytes: Uint8Array): void {
    this.#serial += Buffer.from(bytes).toString('latin1');
    this.#serialChanged();
  }
}

/** A core and its first client, which owns the VM. */
export interface LiveVm {
  readonly core: CoreProcess;
  readonly client: LiveClient;
  /** The core's environment; pass it to a `vmm` that is to see this VM. */
  readonly env: NodeJS.ProcessEnv;
  /** One more client of the same VM. */
  connect(options?: { readonly debugger?: boolean }): Promise<LiveClient>;
}

/** A warm core without a VM, with its own runtime folder. It ends with the test. */
export async function startCore(
  t: Cleanup,
  options: { readonly debugger?: boolean; readonly env?: NodeJS.ProcessEnv; readonly vmmPath?: string } = {},
): Promise<LiveVm> {
  const env = { ...process.env, XDG_RUNTIME_DIR: temporaryFolder(t), ...options.env };
  const core = await spawnCore({ vmmPath: options.vmmPath ?? VMM, env });
  t.after(async () => {
    core.process.kill('SIGKILL');
    await core.exited;
  });
  const connect = async (identity: { readonly debugger?: boolean } = {}): Promise<LiveClient> => {
    const vmm = await connectVmm(core.socket, { client: 'test', debugger: identity.debugger ?? true });
    t.after(() => vmm.dispose());
    return new LiveClient(vmm);
  };
  return { core, env, connect, client: await connect(options) };
}

/** A VM at its first instruction. `input`: as users write it in launch.json. */
export async function startVm(
  t: Cleanup,
  input: Readonly<Record<string, unknown>>,
  options: { readonly debugger?: boolean } = {},
): Promise<LiveVm> {
  const vm = await startCore(t, options);
  await vm.client.create(vmConfig(input));
  return vm;
}

/** Small and with isa-debug-exit unless told otherwise. */
export function vmConfig(input: Readonly<Record<string, unknown>>): VmConfig {
  const { config, problems } = parseVmConfig({ memory: '16M', debugExit: true, ...input });
  if (config === undefined)
    throw new Error(problems.map(({ key, message }) => `${key} ${message}`).join('; '));
  return config;
}
