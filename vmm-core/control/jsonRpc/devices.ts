/** Requests of protocol/devices.ts: the inspector. */
import { inspectDevice, inspectMachine, inspectVcpu } from '../../protocol/devices.ts';
import type { Session } from '../session.ts';
import { fields, text } from './decode.ts';
import { cpuParams } from './registers.ts';
import type { RequestTable } from './table.ts';

export function serveDevices(on: RequestTable, session: Session): void {
  on.request0(inspectMachine, () => session.inspectMachine());
  on.request(inspectDevice, nameParams, ({ name }) => session.inspectDevice(name));
  on.request(inspectVcpu, cpuParams, ({ cpu }) => ({ parts: session.inspectVcpu(cpu) }));
}

export function nameParams(params: unknown): { readonly name: string } {
  return { name: text(fields(params), 'name') };
}
