/** The request table of the control socket: each constant of protocol/ with what decodes its parameters and what answers it. Main thread. */
import type { MessageConnection, NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc/node';
import { readMemory, writeMemory } from '../../debug/memoryAccess.ts';
import { readRegisters, writeRegisters } from '../../debug/registers.ts';
import { StateError, UserError } from '../../errors.ts';
import { walk, type PagingState } from '../../memory/pageWalk.ts';
import { hex } from '../../protocol/hex.ts';
import * as memoryRequests from '../../protocol/memory.ts';
import * as registerRequests from '../../protocol/registers.ts';
import * as runRequests from '../../protocol/run.ts';
import * as serialRequests from '../../protocol/serial.ts';
import * as vmRequests from '../../protocol/vm.ts';
import type { VcpuThread } from '../../vcpu/vcpuThread.ts';
import type { Client, Core } from '../core.ts';
import * as decode from './params.ts';
import { toResponseError } from './responseErrors.ts';
import { feedSerial } from '../serialFeed.ts';

/** Serves everything but `initialize` on a connection that has passed it. */
export function serveRequests(core: Core, client: Client): void {
  const on = table(client.connection);
  on.request0(vmRequests.info, () => core.info());
  on.request(vmRequests.create, decode.createParams, (config) => core.create(config, client));
  on.request0(vmRequests.detach, () => core.detach(client));
  on.request0(vmRequests.powerButton, () => pressButton(core));
  on.request0(vmRequests.reset, () => core.vm.reset());
  on.request0(vmRequests.kill, () => core.vm.kill('the VM was stopped'));
  on.request(serialRequests.serialAttach, decode.portParams, ({ port }) => attachSerial(core, client, port));
  on.notification(serialRequests.serialInput, decode.inputParams, ({ port, data }) =>
    core.vm.typed(port, data),
  );

  on.request0(runRequests.resume, () => core.vm.resume());
  on.request0(runRequests.pause, () => core.vm.runControl.pause());
  on.request(runRequests.step, decode.stepParams, (plan) => {
    stoppedThread(core, plan.cpu);
    core.vm.step(plan);
  });
  on.request(runRequests.setBreakpoints, decode.breakpointsParams, (specs) =>
    setBreakpoints(core, client, specs),
  );
  on.request(registerRequests.readRegisters, decode.cpuParams, ({ cpu }) =>
    readRegisters(stoppedThread(core, cpu).vcpu),
  );
  on.request(registerRequests.writeRegisters, decode.registersParams, ({ cpu, values }) => {
    const { vcpu } = stoppedThread(core, cpu);
    writeRegisters(vcpu, core.vm.machine.memory, values);
    core.onChanged({ kind: 'registers', cpu, names: Object.keys(values) }, client);
    return readRegisters(vcpu);
  });
  on.request(memoryRequests.readMemory, decode.readParams, (params) => read(core, params));
  on.request(memoryRequests.writeMemory, decode.writeParams, (params) => write(core, client, params));
  on.request(memoryRequests.translate, decode.placeParams, (place) => translate(core, place));
}

/** Registration with decoding, and with errors turned into response errors. `D`: the parameters as handlers want them. */
function table(connection: MessageConnection) {
  return {
    request<P, R, D>(
      type: RequestType<P, R, void>,
      decoded: (params: unknown) => D,
      handler: (params: D) => R | Promise<R>,
    ): void {
      connection.onRequest(type, (params) => answer(() => handler(decoded(params))));
    },
    request0<R>(type: RequestType0<R, void>, handler: () => R | Promise<R>): void {
      connection.onRequest(type, () => answer(handler));
    },
    notification<P, D>(
      type: NotificationType<P>,
      decoded: (params: unknown) => D,
      handler: (params: D) => void,
    ): void {
      connection.onNotification(type, (params) => void answer(() => handler(decoded(params))));
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

function pressButton(core: Core): void {
  if (!core.vm.machine.powerButton()) {
    throw new StateError('the guest does not listen to the power button');
  }
}

function attachSerial(core: Core, client: Client, port: number): { backlog: Uint8Array } {
  const serial = core.vm.serial[port];
  if (serial === undefined)
    throw new UserError(`there is no serial port ${port}: ports are 0 (COM1) to 3 (COM4)`);
  client.serialPorts.get(port)?.(); // asked again: once is enough
  const { backlog, detach } = feedSerial(client, port, serial);
  client.serialPorts.set(port, detach);
  return { backlog };
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

async function setBreakpoints(core: Core, client: Client, specs: readonly decode.Breakpoint[]) {
  const { vm } = core;
  const wanted = specs.map((spec) => ({ owner: client, ...spec }));
  return { breakpoints: await vm.runControl.hold(() => vm.breakpoints.replace(client, wanted)) };
}

async function read(core: Core, { lengthBytes, ...place }: decode.Place & { readonly lengthBytes: number }) {
  const { vm } = core;
  const range = { address: place.address, lengthBytes, paging: paging(core, place) };
  const bytes = await readMemory(vm.machine.memory, vm.breakpoints, range);
  return { data: bytes, unreadableBytes: lengthBytes - bytes.length };
}

async function write(
  core: Core,
  client: Client,
  { data, ...place }: decode.Place & { readonly data: Uint8Array },
) {
  const { vm } = core;
  const range = { address: place.address, paging: paging(core, place) };
  await vm.runControl.hold(() => writeMemory(vm.machine.memory, vm.breakpoints, range, data));
  const at = { address: hex(place.address), ...(place.physical ? { physical: true } : { cpu: place.cpu }) };
  core.onChanged({ kind: 'memory', ...at, lengthBytes: data.length }, client);
  return { writtenBytes: data.length };
}

function translate(core: Core, place: decode.Place) {
  const { memory } = core.vm.machine;
  const state = paging(core, { ...place, physical: false }) ?? { cr0: 0n, cr3: 0n, cr4: 0n, efer: 0n };
  const { gpa, entries, ...rights } = walk(memory, state, place.address);
  return {
    ...(gpa === undefined ? {} : { gpa: hex(gpa) }),
    ...rights,
    entries: entries.map((entry) => ({ level: entry.level, gpa: hex(entry.gpa), value: hex(entry.value) })),
  };
}

function paging(core: Core, { physical, cpu }: decode.Place): PagingState | undefined {
  return physical ? undefined : thread(core, cpu).vcpu.run.readSystem();
}
