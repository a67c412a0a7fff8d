/** Requests of protocol/registers.ts. */
import { UserError } from '../../errors.ts';
import { readRegisters, writeRegisters } from '../../protocol/registers.ts';
import type { Session } from '../session.ts';
import { fields, HEX_64, integer, shown } from './decode.ts';
import type { RequestTable } from './table.ts';

interface RegisterValues {
  readonly cpu: number;
  readonly values: Readonly<Record<string, bigint>>;
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

export function registersParams(params: unknown): RegisterValues {
  const it = fields(params);
  const values = Object.entries(fields(it['values'], 'values'));
  return {
    cpu: integer(it, 'cpu'),
    values: Object.fromEntries(values.map(([name, value]) => [name, registerValue(name, value)])),
  };
}

function registerValue(name: string, value: unknown): bigint {
  if (typeof value !== 'string')
    throw new UserError(`${name} must be a hexadecimal number, not ${shown(value)}`);
  if (!HEX_64.test(value))
    throw new UserError(`${name}: ${value} is not a hexadecimal number of up to 64 bits`);
  return BigInt(value);
}
