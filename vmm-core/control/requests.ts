/** The request table of the control socket: each constant of protocol/ with what answers it. No logic beyond decoding. Main thread. */
import type { MessageConnection, NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc/node';
import { parseVmConfig } from '../config/parseConfig.ts';
import type { SerialBackend, VmConfig } from '../config/vmConfig.ts';
import { readMemory, writeMemory } from '../debug/memoryAccess.ts';
import { hex, readRegisters, writeRegisters } from '../debug/registers.ts';
import { UserError } from '../errors.ts';
import { walk, type PagingState } from '../memory/pageWalk.ts';
import * as control from '../protocol/control.ts';
import * as debug from '../protocol/debug.ts';
import type { VcpuThread } from '../vcpu/vcpuThread.ts';
import type { Client, Core } from './core.ts';
import { StateError, toResponseError } from './responseErrors.ts';

const MAX_READ_BYTES = 64 * 1024 * 1024;

/** Serves everything but `initialize` on a connection that has passed it. */
export function serveRequests(core: Core, client: Client): void {
  const on = table(client.connection);
  on.request0(control.info, () => core.info());
  on.request(control.create, ({ config }) => core.create(checkConfig(config), client));
  on.request0(control.detach, () => core.detach(client));
  on.request0(control.powerButton, () => pressButton(core));
  on.request0(control.reset, () => core.vm.reset());
  on.request0(control.kill, () =>
    core.vm.kill({ kind: 'killed', exitCode: 1, message: 'the VM was stopped' }),
  );
  on.request(control.serialAttach, ({ port }) => attachSerial(core, client, port));
  on.notification(control.serialInput, ({ port, data }) => {
    core.vm.typed(port, bytesOf(data));
  });

  on.request0(debug.resume, () => core.vm.resume());
  on.request0(debug.pause, () => core.vm.runControl.pause());
  on.request(debug.step, (params) => step(core, params));
  on.request(debug.setBreakpoints, ({ breakpoints }) => setBreakpoints(core, client, breakpoints));
  on.request(debug.readRegisters, ({ cpu }) => readRegisters(stoppedThread(core, cpu).vcpu));
  on.request(debug.writeRegisters, ({ cpu, values }) => {
    const { vcpu } = stoppedThread(core, cpu);
    writeRegisters(vcpu, core.vm.machine.memory, values);
    core.onChanged({ kind: 'registers', cpu, names: Object.keys(values) }, client);
    return readRegisters(vcpu);
  });
  on.request(debug.readMemory, (params) => read(core, params));
  on.request(debug.writeMemory, (params) => write(core, client, params));
  on.request(debug.translate, (params) => translate(core, params));
}

/** Registration with errors turned into response errors. */
function table(connection: MessageConnection) {
  return {
    request<P, R>(type: RequestType<P, R, void>, handler: (params: P) => R | Promise<R>): void {
      connection.onRequest(type, (params) => answer(() => handler(params)));
    },
    request0<R>(type: RequestType0<R, void>, handler: () => R | Promise<R>): void {
      connection.onRequest(type, () => answer(handler));
    },
    notification<P>(type: NotificationType<P>, handler: (params: P) => void): void {
      connection.onNotification(type, (params) => void answer(() => handler(params)));
    },
  };
}

async function answer<R>(handler: () => R | Promise<R>) {
  try {
    return await handler();
  } catch (error) {
    return toResponseError(error);
  }
}

/** The other side may be of another make: its configuration is checked like a user's. */
function checkConfig(given: VmConfig): VmConfig {
  const { memoryBytes, serial, ...rest } = given;
  const ports = Array.isArray(serial) ? (serial as readonly SerialBackend[]) : [];
  const { config, problems } = parseVmConfig({
    ...rest,
    memory: memoryBytes / 2 ** 20,
    serial: Object.fromEntries(ports.map((backend, i) => [`com${i + 1}`, serialForm(backend)])),
  });
  if (config !== undefined) return config;
  const [first] = problems;
  throw new UserError(`${first?.key ?? 'config'}: ${first?.message ?? 'is not valid'}`);
}

function serialForm(backend: SerialBackend): string {
  if (backend.kind === 'file') return `file:${backend.path}`;
  return backend.kind === 'client' ? 'terminal' : String(backend.kind);
}

function pressButton(core: Core): void {
  if (!core.vm.machine.powerButton()) {
    throw new StateError('the guest does not listen to the power button');
  }
}

function attachSerial(core: Core, client: Client, port: number): { backlog: Uint8Array } {
  const serial = core.vm.serial[port];
  if (serial === undefined)
    throw new UserError(`there is no serial port ${port}: ports are 0 (COM1) to 3 (COM4)`);
  const listener = (bytes: Uint8Array): void => {
    client.connection.sendNotification(control.serialOutput, { port, data: bytes }).catch(() => undefined); // it is going away
  };
  client.serialPorts.get(port)?.(); // asked again: once is enough
  client.serialPorts.set(port, () => serial.detach(listener));
  return { backlog: serial.attach(listener) };
}

function thread(core: Core, cpu: number): VcpuThread {
  const found = core.vm.machine.threads[cpu];
  if (found === undefined)
    throw new UserError(`there is no vCPU ${cpu}: the VM has ${core.vm.machine.threads.length}`);
  return found;
}

function stoppedThread(core: Core, cpu: number): VcpuThread {
  if (core.vm.state !== 'paused') throw new StateError('the VM is running: pause it first');
  return thread(core, cpu);
}

function step(core: Core, params: debug.StepParams): void {
  stoppedThread(core, params.cpu);
  core.vm.step({
    cpu: params.cpu,
    start: params.range === undefined ? 0n : address(params.range.start),
    end: params.range === undefined ? 0n : address(params.range.end),
    over: params.over ?? false,
    interrupts: params.interrupts ?? false,
  });
}

async function setBreakpoints(core: Core, client: Client, specs: readonly debug.BreakpointSpec[]) {
  const { vm } = core;
  const wanted = specs.map((spec) => ({
    owner: client,
    id: spec.id,
    address: address(spec.address),
    mode: spec.mode,
    temporary: spec.temporary ?? false,
    ...(spec.cpu === undefined ? {} : { cpu: spec.cpu }),
    ...(spec.stackAbove === undefined ? {} : { stackAbove: address(spec.stackAbove) }),
  }));
  return { breakpoints: await vm.runControl.hold(() => vm.breakpoints.replace(client, wanted)) };
}

async function read(core: Core, params: debug.MemoryParams & { readonly lengthBytes: number }) {
  const { lengthBytes } = params;
  if (!Number.isInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > MAX_READ_BYTES) {
    throw new UserError(`a read of ${lengthBytes} bytes: at most ${MAX_READ_BYTES} at once`);
  }
  const { vm } = core;
  const range = { address: address(params.address), lengthBytes, paging: paging(core, params) };
  const bytes = await readMemory(vm.machine.memory, vm.breakpoints, range);
  return { data: bytes, unreadableBytes: lengthBytes - bytes.length };
}

async function write(core: Core, client: Client, params: debug.MemoryParams & { readonly data: Uint8Array }) {
  const { vm } = core;
  const bytes = bytesOf(params.data);
  const range = { address: address(params.address), paging: paging(core, params) };
  await vm.runControl.hold(() => writeMemory(vm.machine.memory, vm.breakpoints, range, bytes));
  const { data: _, ...at } = params;
  core.onChanged({ kind: 'memory', ...at, lengthBytes: bytes.length }, client);
  return { writtenBytes: bytes.length };
}

function translate(core: Core, params: debug.MemoryParams) {
  const { memory } = core.vm.machine;
  const state = paging(core, { ...params, physical: false }) ?? { cr0: 0n, cr3: 0n, cr4: 0n, efer: 0n };
  const { gpa, entries, ...rights } = walk(memory, state, address(params.address));
  return {
    ...(gpa === undefined ? {} : { gpa: hex(gpa) }),
    ...rights,
    entries: entries.map((entry) => ({ level: entry.level, gpa: hex(entry.gpa), value: hex(entry.value) })),
  };
}

function paging(core: Core, params: debug.MemoryParams): PagingState | undefined {
  return params.physical === true ? undefined : thread(core, params.cpu ?? 0).vcpu.run.readSystem();
}

function bytesOf(value: Uint8Array): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new UserError('data must be bytes');
  return value;
}

function address(text: debug.Hex): bigint {
  if (typeof text !== 'string' || !/^0x[0-9a-f]{1,16}$/i.test(text)) {
    throw new UserError(`${String(text)} is not an address: write it as 0x… with up to 16 digits`);
  }
  return BigInt(text);
}
