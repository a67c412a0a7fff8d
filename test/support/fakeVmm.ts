/**
 * A vmm-core without KVM, for tests of its clients: serves the control protocol on a unix socket over a
 * machine that interprets the DAP tests' fixture (fakeCpu.ts). It runs in the test's own process, so that a
 * test can look at it and break it.
 */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import { messageStream } from '../../vmm-core/client/messageStream.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import { type Change, changed } from '../../vmm-core/protocol/changes.ts';
import { ErrorCode } from '../../vmm-core/protocol/errors.ts';
import { type Hex, hex, hexValues } from '../../vmm-core/protocol/hex.ts';
import { type MemoryParams, readMemory, writeMemory } from '../../vmm-core/protocol/memory.ts';
import {
  type CpuMode,
  type CpuRegisters,
  readRegisters,
  type SegmentValue,
  writeRegisters,
} from '../../vmm-core/protocol/registers.ts';
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
import { type FatalCause, STOP } from '../../vmm-core/protocol/stopCause.ts';
import {
  create,
  detach,
  ended,
  info,
  initialize,
  kill,
  powerButton,
  reset,
  type VmEnd,
  type VmInfo,
  type VmState,
  trouble,
  wasReset,
} from '../../vmm-core/protocol/vm.ts';
import { PROTOCOL_VERSION } from '../../vmm-core/protocol/version.ts';
import { within } from './deadline.ts';
import { FakeCpu, FakeMemory } from './fakeCpu.ts';
import { FakeNetworks } from './fakeNetworks.ts';
import { FakeSerial } from './fakeSerial.ts';
import { refused } from './refused.ts';

const PT_LOAD = 1;
const FAKE_PID = 4242;
const MAX_READ_BYTES = 64 * 1024 * 1024;
const SLICE = 200; // instructions between polls of the socket
/** The answer of a silent process. */
const NEVER = new Promise<never>(() => undefined);

export interface FakeVmmOptions {
  /** What the guest does with its power button. Default: `ignores`. */
  readonly onPowerButton?: 'powersOff' | 'ignores' | 'notListening';
  /** Where to listen, instead of in its own folder. */
  readonly socket?: string;
  /** Answer of `create`, instead of a VM. */
  readonly createError?: { readonly code: number; readonly message: string };
}

/** Why the machine is stopped; `undefined` while it runs. */
type Stop = Omit<StopEvent, 'pc'>;

export class FakeVmm {
  readonly socket: string;
  /** Every request, in order, for tests of what a client asks. */
  readonly requests: string[] = [];
  readonly networks = new FakeNetworks();
  readonly serial = new FakeSerial();
  readonly #asked = new EventEmitter();
  memory = new FakeMemory(0);
  cpus: FakeCpu[] = [];
  /** Overrides of what readRegisters reports. */
  mode: CpuMode = 'long64';
  csBase = 0n;
  readonly #options: FakeVmmOptions;
  readonly #folder: string;
  readonly #server: Server;
  readonly #sockets = new Map<Socket, MessageConnection>();
  readonly #clients = new Map<MessageConnection, readonly BreakpointSpec[]>();
  #owner: MessageConnection | undefined;
  #config: VmConfig | undefined;
  #entry = 0n;
  #end: VmEnd | undefined;
  #fatal = false;
  #running: { stopWhen: () => Stop | undefined } | undefined;
  #pauseWanted = false;
  #silent = false;

  private constructor(options: FakeVmmOptions) {
    this.#options = options;
    this.#folder = mkdtempSync(path.join(tmpdir(), 'fake-vmm-'));
    this.socket = options.socket ?? path.join(this.#folder, 'fake.sock');
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async start(options: FakeVmmOptions = {}): Promise<FakeVmm> {
    const fake = new FakeVmm(options);
    await new Promise<void>((resolve) => fake.#server.listen(fake.socket, resolve));
    return fake;
  }

  get state(): VmState {
    if (this.#end !== undefined) return 'ended';
    if (this.#config === undefined) return 'empty';
    return this.#running === undefined ? 'paused' : 'running';
  }

  get end(): VmEnd | undefined {
    return this.#end;
  }

  get detached(): boolean {
    return this.#config !== undefined && this.#owner === undefined;
  }

  /** Breakpoints of all clients. */
  get breakpoints(): readonly BreakpointSpec[] {
    return [...this.#clients.values()].flat();
  }

  /** As a VM that another program started. */
  createNow(config: VmConfig): void {
    this.#config = config;
    this.networks.begin(config);
    this.#load();
  }

  /** As if another client resumed it. */
  resumeNow(): void {
    this.#resume();
  }

  /** Resolves when a request of that name has come, now or before. */
  async asked(name: string): Promise<void> {
    if (!this.requests.includes(name)) await within(once(this.#asked, name), `a request ${name}`);
  }

  /**
   * Breakpoints and memory reads are no longer answered, as by a process that is stopped or about to die.
   */
  stopAnswering(): void {
    this.#silent = true;
  }

  /** The process is gone without notice: SIGKILL. */
  crash(): void {
    this.#running = undefined;
    for (const socket of this.#sockets.keys()) socket.destroy();
    this.#server.close();
  }

  /** Something the VM cannot go on from. */
  fail(kind: FatalCause['kind'], message: string, details: string): void {
    this.#fatal = true;
    this.#stop({ cause: { kind, message }, cpu: 0, breakpointIds: [], message, details });
  }

  /** The host fails the guest, which runs on. */
  trouble(message: string): void {
    this.#broadcast((it) => it.sendNotification(trouble, { message }));
  }

  close(): void {
    this.crash();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #reset(): void {
    this.#load();
    this.#broadcast((it) => it.sendNotification(wasReset, { message: 'the machine was reset' }));
  }

  #accept(socket: Socket): void {
    const connection = messageStream(socket);
    this.#sockets.set(socket, connection);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#clients.delete(connection);
      connection.dispose();
      if (this.#owner === connection)
        this.#finish({ kind: 'killed', exitCode: 1, message: 'the client that started the VM went away' });
    });
    this.#serve(connection);
    connection.listen();
  }

  #serve(connection: MessageConnection): void {
    const note = <A extends unknown[], R>(name: string, handler: (...args: A) => R) => {
      return (...args: A): R => {
        this.requests.push(name);
        this.#asked.emit(name);
        return handler(...args);
      };
    };
    connection.onRequest(
      initialize,
      note('initialize', ({ protocolVersion }) => {
        if (protocolVersion !== PROTOCOL_VERSION) {
          return new ResponseError<void>(
            ErrorCode.VersionMismatch,
            `protocol version ${PROTOCOL_VERSION}, not ${protocolVersion}`,
          );
        }
        this.#clients.set(connection, []);
        return this.#info();
      }),
    );
    connection.onRequest(
      create,
      note('create', ({ config }) => {
        const { createError } = this.#options;
        if (createError !== undefined) throw new ResponseError<void>(createError.code, createError.message);
        if (this.state !== 'empty') throw refused('State', 'this process has a VM already');
        this.#owner = connection;
        this.createNow(config);
        return this.#info();
      }),
    );
    connection.onRequest(
      info,
      note('info', () => this.#info()),
    );
    connection.onRequest(
      powerButton,
      note('powerButton', () => this.#withVm(() => this.#powerButton())),
    );
    connection.onRequest(
      reset,
      note('reset', () => this.#withVm(() => this.#reset())),
    );
    connection.onRequest(
      detach,
      note('detach', () => void (this.#owner = undefined)),
    );
    connection.onRequest(
      kill,
      note('kill', () => this.#finish({ kind: 'killed', exitCode: 1, message: 'the VM was stopped' })),
    );
    connection.onRequest(
      resume,
      note('resume', () => this.#withVm(() => this.#resume())),
    );
    connection.onRequest(
      pause,
      note('pause', () => this.#withVm(() => this.#pause())),
    );
    connection.onRequest(
      step,
      note('step', (params) => this.#whenPaused(() => this.#step(params))),
    );
    connection.onRequest(
      setBreakpoints,
      note('setBreakpoints', ({ breakpoints }) =>
        this.#silent ? NEVER : this.#withVm(() => this.#setBreakpoints(connection, breakpoints)),
      ),
    );
    this.networks.serve(connection, (body) => this.#withVm(body));
    this.serial.serve(connection);
    connection.onRequest(readRegisters, ({ cpu }) => this.#whenPaused(() => this.#registers(cpu)));
    connection.onRequest(writeRegisters, ({ cpu, values }) =>
      this.#whenPaused(() => {
        const written = this.#writeRegisters(cpu, values);
        this.#tellOthers(connection, { kind: 'registers', cpu, names: Object.keys(values) });
        return written;
      }),
    );
    connection.onRequest(
      readMemory,
      note('readMemory', (params) => (this.#silent ? NEVER : this.#withVm(() => this.#readMemory(params)))),
    );
    connection.onRequest(writeMemory, ({ data, ...at }) =>
      this.#withVm(() => {
        const written = this.#writeMemory(number(at.address), data);
        this.#tellOthers(connection, { kind: 'memory', ...at, lengthBytes: data.length });
        return written;
      }),
    );
  }

  #info(): VmInfo {
    const base = { protocolVersion: PROTOCOL_VERSION, version: 'fake', pid: FAKE_PID, state: this.state };
    if (this.#config === undefined) return base;
    return {
      ...base,
      config: this.#config,
      bootProtocol: 'flat',
      entry: hex(this.#entry),
      ...(this.#end === undefined ? {} : { end: this.#end }),
    };
  }

  #load(): void {
    if (this.#config === undefined) throw new Error('no VM');
    const image = readFileSync(this.#config.kernel);
    const elf = parseElf(bytesSource(this.#config.kernel, image));
    this.memory = new FakeMemory(this.#config.memoryBytes);
    for (const it of elf.programHeaders.filter(({ type }) => type === PT_LOAD)) {
      this.memory.bytes.set(
        image.subarray(it.offset, it.offset + it.fileSizeBytes),
        Number(it.virtualAddress),
      );
    }
    this.#entry = elf.entry;
    this.cpus = Array.from({ length: this.#config.cpus }, () => new FakeCpu(this.memory, elf.entry));
  }

  #powerButton(): void {
    switch (this.#options.onPowerButton ?? 'ignores') {
      case 'notListening':
        throw refused('State', 'the guest does not listen to the power button');
      case 'powersOff':
        setImmediate(() =>
          this.#finish({ kind: STOP.powerOff, exitCode: 0, message: 'the guest powered off' }),
        );
        return;
      case 'ignores':
        return;
    }
  }

  #finish(end: VmEnd): void {
    if (this.#end !== undefined || this.#config === undefined) return;
    this.#running = undefined;
    this.#end = end;
    this.#broadcast((it) => it.sendNotification(ended, end));
    // The real process exits now: its connections close after what was sent.
    setImmediate(() => {
      for (const open of this.#sockets.values()) open.end();
    });
  }

  #resume(): void {
    if (this.#running !== undefined) return;
    if (this.#fatal)
      return this.#finish({ kind: STOP.tripleFault, exitCode: 3, message: 'the guest triple faulted' });
    this.#broadcast((it) => it.sendNotification(resumed, {}));
    let leaving = true; // the breakpoint at RIP is passed; one at the next instruction is not
    this.#runWith(() => {
      const stop = leaving ? undefined : this.#breakpointStop();
      if (stop !== undefined) return stop;
      leaving = false;
      for (const cpu of this.cpus) cpu.step();
      return undefined;
    });
  }

  #pause(): Promise<void> {
    if (this.#running === undefined) return Promise.resolve();
    this.#pauseWanted = true;
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#running === undefined) resolve();
        else setImmediate(look);
      };
      look();
    });
  }

  #step(params: StepParams): void {
    const cpu = this.#cpu(params.cpu);
    const start = number(params.range?.start ?? '0x0');
    const end = number(params.range?.end ?? '0x0');
    let returnTo: { address: bigint; stack: bigint } | undefined;
    const stepOnce = (): Stop | undefined => {
      if (returnTo === undefined) {
        const returns = params.over === true ? cpu.returnOfCall() : undefined;
        cpu.step();
        if (returns !== undefined) returnTo = { address: returns, stack: cpu.registers.rsp ?? 0n };
      } else {
        cpu.step();
      }
      if (returnTo !== undefined) {
        if (cpu.rip !== returnTo.address || (cpu.registers.rsp ?? 0n) <= returnTo.stack)
          return this.#breakpointStop();
        returnTo = undefined;
      }
      return cpu.rip >= start && cpu.rip < end
        ? undefined
        : { cause: { kind: STOP.step }, cpu: params.cpu, breakpointIds: [] };
    };
    this.#runWith(stepOnce);
  }

  /** `once` runs a slice and says whether that was the last. Slices keep the socket served. */
  #runWith(once: () => Stop | undefined): void {
    const running = { stopWhen: once };
    this.#running = running;
    const slice = (): void => {
      for (let i = 0; i < SLICE; i++) {
        if (this.#running !== running) return;
        if (this.#pauseWanted) return this.#stop({ cause: { kind: STOP.pause }, cpu: 0, breakpointIds: [] });
        const stop = tryStep(once);
        if (stop !== undefined) return this.#stop(stop);
      }
      setImmediate(slice);
    };
    setImmediate(slice);
  }

  #stop(stop: Stop): void {
    this.#running = undefined;
    this.#pauseWanted = false;
    const own = this.#ownHits(stop);
    for (const [client, specs] of this.#clients)
      this.#clients.set(
        client,
        specs.filter((it) => it.temporary !== true),
      );
    const pc = hex(this.#cpu(stop.cpu).rip);
    for (const [client, ids] of own) {
      const breakpointIds = stop.breakpointIds.filter((it) => ids.has(it));
      // it is going away
      client.sendNotification(stopped, { ...stop, pc, breakpointIds }).catch(() => undefined);
    }
  }

  #breakpointStop(): Stop | undefined {
    for (const [index, cpu] of this.cpus.entries()) {
      const hits = this.#hits(cpu, index, this.breakpoints);
      if (hits.length > 0)
        return { cause: { kind: STOP.breakpoint }, cpu: index, breakpointIds: hits.map((it) => it.id) };
    }
    return undefined;
  }

  /** The numbers of this client's own breakpoints among those hit. */
  #ownHits(stop: Stop): Map<MessageConnection, ReadonlySet<number>> {
    const cpu = this.#cpu(stop.cpu);
    const hitBy = (specs: readonly BreakpointSpec[]): ReadonlySet<number> =>
      new Set(this.#hits(cpu, stop.cpu, specs).map((it) => it.id));
    return new Map([...this.#clients].map(([client, specs]) => [client, hitBy(specs)]));
  }

  #hits(cpu: FakeCpu, index: number, specs: readonly BreakpointSpec[]): BreakpointSpec[] {
    return specs.filter(
      (it) =>
        BigInt(it.address) === cpu.rip &&
        (it.cpu === undefined || it.cpu === index) &&
        (it.stackAbove === undefined || (cpu.registers.rsp ?? 0n) > BigInt(it.stackAbove)),
    );
  }

  #setBreakpoints(
    connection: MessageConnection,
    specs: readonly BreakpointSpec[],
  ): { breakpoints: BreakpointStatus[] } {
    this.#clients.set(connection, specs);
    let registersUsed = 0;
    const breakpoints = specs.map((it): BreakpointStatus => {
      if (it.mode !== 'hw') return { id: it.id, verified: true, armed: 'sw' };
      registersUsed += 1;
      if (registersUsed <= 4) return { id: it.id, verified: true, armed: 'hw' };
      return { id: it.id, verified: false, message: 'all 4 debug registers are used' };
    });
    return { breakpoints };
  }

  #withVm<R>(body: () => R): R {
    if (this.#config === undefined) throw refused('State', 'there is no VM yet');
    return body();
  }

  #whenPaused<R>(body: () => R): R {
    if (this.#running !== undefined) throw refused('State', 'the VM is running: pause it first');
    return this.#withVm(body);
  }

  #cpu(index: number): FakeCpu {
    const cpu = this.cpus[index];
    if (cpu === undefined) throw refused('User', `there is no vCPU ${index}`);
    return cpu;
  }

  #registers(index: number): CpuRegisters {
    const { registers } = this.#cpu(index);
    const values = hexValues({ ...SYSTEM_REGISTERS, ...registers });
    const code = {
      ...SEGMENT,
      type: 0xb,
      l: this.mode === 'long64',
      db: this.mode === 'protected32',
      base: hex(this.csBase),
    };
    const segments = {
      cs: code,
      ds: SEGMENT,
      es: SEGMENT,
      fs: SEGMENT,
      gs: SEGMENT,
      ss: SEGMENT,
      tr: TASK_SEGMENT,
      ldt: NO_SEGMENT,
    };
    return { cpu: index, mode: this.mode, cpl: 0, runnable: true, values, segments };
  }

  #writeRegisters(index: number, values: Readonly<Record<string, string>>): CpuRegisters {
    const cpu = this.#cpu(index);
    const unknown = Object.keys(values).find((it) => !(it in cpu.registers));
    if (unknown !== undefined) throw refused('User', `KVM refuses to set ${unknown}`);
    const numbers = Object.entries(values).map(([name, value]) => [name, number(value)] as const);
    for (const [name, value] of numbers) cpu.registers[name] = value;
    return this.#registers(index);
  }

  /** One flat memory: linear is physical. */
  #readMemory({ address, lengthBytes }: MemoryParams & { readonly lengthBytes: number }) {
    if (lengthBytes < 0 || lengthBytes > MAX_READ_BYTES)
      throw refused('User', `a read of ${lengthBytes} bytes: at most ${MAX_READ_BYTES} at once`);
    const bytes = this.memory.read(number(address), lengthBytes);
    return { data: Uint8Array.from(bytes), unreadableBytes: lengthBytes - bytes.length };
  }

  #writeMemory(address: bigint, bytes: Uint8Array): { writtenBytes: number } {
    if (address + BigInt(bytes.length) > BigInt(this.memory.bytes.length))
      throw refused('Address', `no memory at ${hex(address)}`);
    this.memory.bytes.set(bytes, Number(address));
    return { writtenBytes: bytes.length };
  }

  #tellOthers(by: MessageConnection, change: Change): void {
    this.#broadcast((it) => (it === by ? Promise.resolve() : it.sendNotification(changed, change)));
  }

  #broadcast(send: (connection: MessageConnection) => Promise<void>): void {
    // it is going away
    for (const connection of this.#clients.keys()) send(connection).catch(() => undefined);
  }
}

function tryStep(once: () => Stop | undefined): Stop | undefined {
  try {
    return once();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      cause: { kind: STOP.failure, message },
      cpu: 0,
      breakpointIds: [],
      message,
      details: 'no details',
    };
  }
}

function number(text: Hex): bigint {
  if (!/^0x[0-9a-f]{1,16}$/i.test(text)) throw refused('User', `${text} is not an address`);
  return BigInt(text);
}

const SYSTEM_REGISTERS: Readonly<Record<string, bigint>> = {
  cr0: 0x8000_0011n,
  cr2: 0n,
  cr3: 0x1000n,
  cr4: 0x20n,
  cr8: 0n,
  efer: 0x500n,
  fs_base: 0n,
  gs_base: 0n,
  gdt_base: 0x500n,
  gdt_limit: 0x17n,
  idt_base: 0n,
  idt_limit: 0n,
};

const SEGMENT: SegmentValue = {
  selector: 0x10,
  base: '0x0',
  limit: '0xffffffff',
  type: 3,
  dpl: 0,
  present: true,
  s: true,
  l: false,
  db: true,
  g: true,
  avl: false,
  unusable: false,
};
const TASK_SEGMENT: SegmentValue = { ...SEGMENT, selector: 0, type: 0xb, s: false };
const NO_SEGMENT: SegmentValue = { ...SEGMENT, selector: 0, unusable: true };
