/**
 * A VM on the real /dev/kvm, driven as every client drives one: `vmm serve` started by spawnCore, the control protocol through
 * vmmClient. A test waits for events, never for time.
 */
import type { TestContext } from 'node:test';
import type { RequestType } from 'vscode-jsonrpc/node';
import { type CoreProcess, spawnCore } from '../../vmm-core/client/spawnCore.ts';
import { connectVmm, type VmmClient } from '../../vmm-core/client/vmmClient.ts';
import { parseVmConfig } from '../../vmm-core/config/parseConfig.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import * as control from '../../vmm-core/protocol/control.ts';
import * as debug from '../../vmm-core/protocol/debug.ts';
import { Arrivals, within } from './deadline.ts';
import { temporaryFolder, VMM } from './vmmProcess.ts';

type ResultOf<T> = T extends RequestType<infer _P, infer R, infer _E> ? R : never;
type Cleanup = Pick<TestContext, 'after'>;

/** One client's view of a core: requests as methods, events as things to take. */
export class LiveClient {
  readonly vmm: VmmClient;
  /** Resolves with the VM's end, told by `vm/ended`. */
  readonly ended: Promise<control.VmEnd>;
  readonly #stops = new Arrivals<debug.StopEvent>('a stop of the VM');
  readonly #changes = new Arrivals<debug.Change>('a change by another client');
  readonly #resumes = new Arrivals<true>('a resume of the VM');
  #serial = '';
  #serialChanged: () => void = () => undefined;

  constructor(vmm: VmmClient) {
    this.vmm = vmm;
    const { connection } = vmm;
    connection.onNotification(debug.stopped, (event) => this.#stops.put(event));
    connection.onNotification(debug.resumed, () => this.#resumes.put(true));
    connection.onNotification(debug.changed, (change) => this.#changes.put(change));
    connection.onNotification(control.serialOutput, ({ data }) => this.#print(data));
    this.ended = new Promise((resolve) => connection.onNotification(control.ended, resolve));
  }

  create(config: VmConfig): Promise<control.VmInfo> {
    return within(this.vmm.connection.sendRequest(control.create, { config }), 'vm/create');
  }
  info(): Promise<control.VmInfo> {
    return within(this.vmm.connection.sendRequest(control.info), 'vm/info');
  }
  resume(): Promise<void> {
    return within(this.vmm.connection.sendRequest(debug.resume), 'debug/resume');
  }
  /** Resolves when all vCPUs have stopped; the stop is still to be taken. */
  pause(): Promise<void> {
    return within(this.vmm.connection.sendRequest(debug.pause), 'debug/pause');
  }
  reset(): Promise<void> {
    return within(this.vmm.connection.sendRequest(control.reset), 'vm/reset');
  }
  detach(): Promise<void> {
    return within(this.vmm.connection.sendRequest(control.detach), 'vm/detach');
  }
  kill(): Promise<void> {
    return within(this.vmm.connection.sendRequest(control.kill), 'vm/kill');
  }

  /** The next stop that was not taken yet. */
  stop(): Promise<debug.StopEvent> {
    return this.#stops.take();
  }
  /** Stops that nobody took: none, when a test has looked at all of them. */
  untakenStops(): debug.StopEvent[] {
    return this.#stops.takeAll();
  }
  /** What another client wrote. */
  change(): Promise<debug.Change> {
    return this.#changes.take();
  }
  untakenChanges(): debug.Change[] {
    return this.#changes.takeAll();
  }
  resumed(): Promise<true> {
    return this.#resumes.take();
  }

  async runUntilStop(): Promise<debug.StopEvent> {
    await this.resume();
    return this.stop();
  }
  async step(params: Partial<debug.StepParams> = {}): Promise<debug.StopEvent> {
    await within(this.vmm.connection.sendRequest(debug.step, { cpu: 0, ...params }), 'debug/step');
    return this.stop();
  }

  async setBreakpoints(
    ...specs: readonly Partial<debug.BreakpointSpec>[]
  ): Promise<readonly debug.BreakpointStatus[]> {
    const breakpoints = specs.map((spec, i) => ({
      id: i + 1,
      address: '0x0',
      mode: 'auto' as const,
      ...spec,
    }));
    const answer = this.vmm.connection.sendRequest(debug.setBreakpoints, { breakpoints });
    return (await within(answer, 'debug/setBreakpoints')).breakpoints;
  }

  registers(cpu = 0): Promise<debug.CpuRegisters> {
    return within(this.vmm.connection.sendRequest(debug.readRegisters, { cpu }), 'debug/readRegisters');
  }
  writeRegisters(values: Readonly<Record<string, string>>, cpu = 0): Promise<debug.CpuRegisters> {
    return within(
      this.vmm.connection.sendRequest(debug.writeRegisters, { cpu, values }),
      'debug/writeRegisters',
    );
  }

  read(
    params: debug.MemoryParams & { readonly lengthBytes: number },
  ): Promise<ResultOf<typeof debug.readMemory>> {
    return within(this.vmm.connection.sendRequest(debug.readMemory, params), 'debug/readMemory');
  }
  async write(params: debug.MemoryParams, bytes: readonly number[]): Promise<number> {
    const request = { ...params, data: Uint8Array.from(bytes) };
    const answer = await within(
      this.vmm.connection.sendRequest(debug.writeMemory, request),
      'debug/writeMemory',
    );
    return answer.writtenBytes;
  }
  translate(params: debug.MemoryParams): Promise<ResultOf<typeof debug.translate>> {
    return within(this.vmm.connection.sendRequest(debug.translate, params), 'debug/translate');
  }
  /** A 32-bit word at a linear address. */
  async word(address: string): Promise<number> {
    const { data } = await this.read({ address, lengthBytes: 4 });
    return new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true);
  }

  /** From now on, and what came before: `printed` waits for it. */
  async attachSerial(port = 0): Promise<void> {
    const answer = this.vmm.connection.sendRequest(control.serialAttach, { port });
    this.#print((await within(answer, 'serial/attach')).backlog);
  }
  type(text: string, port = 0): Promise<void> {
    return this.vmm.connection.sendNotification(control.serialInput, {
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
  /** What the core runs with; give it to a `vmm` that shall see this VM. */
  readonly env: NodeJS.ProcessEnv;
  /** One more client of the same VM. */
  connect(options?: { readonly debugger?: boolean }): Promise<LiveClient>;
}

/** A warm core without a VM, with a runtime folder of its own. It ends with the test. */
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

/** A VM that stands at its first instruction. `input`: as users write it in launch.json. */
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
