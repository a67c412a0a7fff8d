/** Requests of protocol/registers.ts. */
import { UserError } from '../../errors.ts';
import { readRegisters, writeRegisters } from '../../protocol/registers.ts';
import type { Session } from '../session.ts';
import { fields, integer, shown } from './decode.ts';
import type { RequestTable } from './table.ts';

interface RegisterValues {
  readonly cpu: number;
  readonly values: Readonly<Record<string, string>>;
}

export function serveRegisters(on: RequestTable, session: Session): void {
  on.request(readRegisters, cpuParams, ({ cpu }) => session.readRegisters(cpu));
  on.request(writeRegisters, registersParams, ({ cpu, values }) => {
    session.writeRegisters(cpu, values);
    return session.readRegisters(cpu);
  });
}

export function cpuParams(params: unknown): { readonly cpu: number } {
  return { cpu: integer(fields(params), 'cpu') };
}

function registersParams(params: unknown): RegisterValues {
  const it = fields(params);
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields(it['values'], 'values'))) {
    if (typeof value !== 'string')
      throw new UserError(`${name} must be a hexadecimal number, not ${shown(value)}`);
    values[name] = value;
  }
  return { cpu: integer(it, 'cpu'), values };
}
