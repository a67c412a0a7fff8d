/** The request table of the control socket: each constant of protocol/ with what decodes its parameters and what answers it. Main thread. */
import type { MessageConnection, NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc/node';
import { hex } from '../../protocol/hex.ts';
import * as memoryRequests from '../../protocol/memory.ts';
import * as registerRequests from '../../protocol/registers.ts';
import * as runRequests from '../../protocol/run.ts';
import * as serialRequests from '../../protocol/serial.ts';
import * as vmRequests from '../../protocol/vm.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import type { SerialReader } from '../client.ts';
import type { CoreInfo } from '../core.ts';
import type { MemoryPlace, Session } from '../session.ts';
import * as decode from './params.ts';
import { toResponseError } from './responseErrors.ts';

/** Serves everything but `initialize` on a connection that has passed it. */
export function serveRequests(connection: MessageConnection, session: Session, reader: SerialReader): void {
  const on = table(connection);
  on.request0(vmRequests.info, () => vmInfo(session.info()));
  on.request(vmRequests.create, decode.createParams, async (config) => vmInfo(await session.create(config)));
  on.request0(vmRequests.detach, () => session.detach());
  on.request0(vmRequests.powerButton, () => session.powerButton());
  on.request0(vmRequests.reset, () => session.reset());
  on.request0(vmRequests.kill, () => session.kill());
  on.request(serialRequests.serialAttach, decode.portParams, ({ port }) => ({
    backlog: session.attachSerial(port, reader),
  }));
  on.notification(serialRequests.serialInput, decode.inputParams, ({ port, data }) =>
    session.type(port, data),
  );

  on.request0(runRequests.resume, () => session.resume());
  on.request0(runRequests.pause, () => session.pause());
  on.request(runRequests.step, decode.stepParams, (plan) => session.step(plan));
  on.request(runRequests.setBreakpoints, decode.breakpointsParams, async (specs) => ({
    breakpoints: await session.setBreakpoints(specs),
  }));
  on.request(registerRequests.readRegisters, decode.cpuParams, ({ cpu }) => session.readRegisters(cpu));
  on.request(registerRequests.writeRegisters, decode.registersParams, ({ cpu, values }) => {
    session.writeRegisters(cpu, values);
    return session.readRegisters(cpu);
  });
  on.request(memoryRequests.readMemory, decode.readParams, async ({ place, lengthBytes }) => {
    const data = await session.readMemory(place, lengthBytes);
    return { data, unreadableBytes: lengthBytes - data.length };
  });
  on.request(memoryRequests.writeMemory, decode.writeParams, async ({ place, data }) => {
    await session.writeMemory(place, data);
    return { writtenBytes: data.length };
  });
  on.request(memoryRequests.translate, decode.placeParams, (place) => translate(session, place));
}

export function vmInfo(info: CoreInfo): vmRequests.VmInfo {
  return { protocolVersion: PROTOCOL_VERSION, ...info };
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

function translate(session: Session, { address, cpu }: MemoryPlace) {
  const { gpa, entries, ...rights } = session.translate(address, cpu);
  return {
    ...(gpa === undefined ? {} : { gpa: hex(gpa) }),
    ...rights,
    entries: entries.map((entry) => ({ level: entry.level, gpa: hex(entry.gpa), value: hex(entry.value) })),
  };
}
