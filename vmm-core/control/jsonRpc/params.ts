/**
 * Parameters of requests, decoded and checked at the edge: whatever comes through the socket, a handler sees what its type says, and the
 * client reads a sentence that names the field. No state.
 */
import { checkVmConfig } from '../../config/parseVmConfig.ts';
import type { VmConfig } from '../../config/vmConfig.ts';
import type { StepPlan } from '../../debug/runControl.ts';
import { UserError } from '../../errors.ts';
import { BREAKPOINT_MODES, type BreakpointMode } from '../../protocol/run.ts';
import type { ClientBreakpoint, MemoryPlace } from '../session.ts';

export const MAX_READ_BYTES = 64 * 1024 * 1024;
const MAX_BREAKPOINTS = 10_000;
const MAX_SHOWN = 60;

type Fields = Readonly<Record<string, unknown>>;

export interface Greeting {
  readonly protocolVersion: unknown;
  readonly client: string;
  readonly debugger: boolean;
}

export interface RegisterValues {
  readonly cpu: number;
  readonly values: Readonly<Record<string, string>>;
}

export function initializeParams(params: unknown): Greeting {
  const it = fields(params);
  const client = typeof it['client'] === 'string' ? it['client'].slice(0, MAX_SHOWN) : 'unknown';
  return { protocolVersion: it['protocolVersion'], client, debugger: it['debugger'] === true };
}

/** The other side may be of another make: its configuration is checked like a user's. */
export function createParams(params: unknown): VmConfig {
  const { config, problems } = checkVmConfig(fields(fields(params)['config'], 'config'));
  if (config !== undefined) return config;
  const [first] = problems;
  throw new UserError(`${first?.key ?? 'config'}: ${first?.message ?? 'is not valid'}`);
}

export function portParams(params: unknown): { readonly port: number } {
  return { port: integer(fields(params), 'port') };
}

export function inputParams(params: unknown): { readonly port: number; readonly data: Uint8Array } {
  return { ...portParams(params), data: bytes(fields(params), 'data') };
}

export function cpuParams(params: unknown): { readonly cpu: number } {
  return { cpu: integer(fields(params), 'cpu') };
}

export function stepParams(params: unknown): StepPlan {
  const it = fields(params);
  const range = it['range'] === undefined ? undefined : fields(it['range'], 'range');
  return {
    cpu: integer(it, 'cpu'),
    start: range === undefined ? 0n : address(range['start']),
    end: range === undefined ? 0n : address(range['end']),
    over: flag(it, 'over'),
    interrupts: flag(it, 'interrupts'),
  };
}

export function breakpointsParams(params: unknown): readonly ClientBreakpoint[] {
  return list(fields(params)['breakpoints'], 'breakpoints', MAX_BREAKPOINTS).map((entry, i) => {
    const it = fields(entry, `breakpoints[${i}]`);
    return {
      id: integer(it, 'id'),
      address: address(it['address']),
      mode: mode(it['mode']),
      temporary: flag(it, 'temporary'),
      ...(it['cpu'] === undefined ? {} : { cpu: integer(it, 'cpu') }),
      ...(it['stackAbove'] === undefined ? {} : { stackAbove: address(it['stackAbove']) }),
    };
  });
}

export function registersParams(params: unknown): RegisterValues {
  const it = fields(params);
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields(it['values'], 'values'))) {
    if (typeof value !== 'string')
      throw new UserError(`${name} must be a hexadecimal number, not ${shown(value)}`);
    values[name] = value;
  }
  return { cpu: integer(it, 'cpu'), values };
}

export function readParams(params: unknown): { readonly place: MemoryPlace; readonly lengthBytes: number } {
  const lengthBytes = fields(params)['lengthBytes'];
  const isLength = typeof lengthBytes === 'number' && Number.isInteger(lengthBytes) && lengthBytes >= 0;
  if (!isLength || lengthBytes > MAX_READ_BYTES)
    throw new UserError(`a read of ${shown(lengthBytes)} bytes: at most ${MAX_READ_BYTES} at once`);
  return { place: placeParams(params), lengthBytes };
}

export function writeParams(params: unknown): { readonly place: MemoryPlace; readonly data: Uint8Array } {
  return { place: placeParams(params), data: bytes(fields(params), 'data') };
}

export function placeParams(params: unknown): MemoryPlace {
  const it = fields(params);
  return {
    address: address(it['address']),
    physical: flag(it, 'physical'),
    cpu: it['cpu'] === undefined ? 0 : integer(it, 'cpu'),
  };
}

function fields(value: unknown, what = 'params'): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${what} must be an object, not ${shown(value)}`);
  return value as Fields;
}

function list(value: unknown, what: string, atMost: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new UserError(`${what} must be a list, not ${shown(value)}`);
  if (value.length > atMost) throw new UserError(`${what}: at most ${atMost} entries, not ${value.length}`);
  return value;
}

function integer(it: Fields, key: string): number {
  const value = it[key];
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new UserError(`${key} must be a whole number, not ${shown(value)}`);
}

function flag(it: Fields, key: string): boolean {
  const value = it[key] ?? false;
  if (typeof value === 'boolean') return value;
  throw new UserError(`${key} must be true or false, not ${shown(value)}`);
}

function bytes(it: Fields, key: string): Uint8Array {
  const value = it[key];
  if (value instanceof Uint8Array) return value;
  throw new UserError(`${key} must be bytes`);
}

function address(value: unknown): bigint {
  if (typeof value === 'string' && /^0x[0-9a-f]{1,16}$/i.test(value)) return BigInt(value);
  const text = typeof value === 'string' ? value.slice(0, MAX_SHOWN) : shown(value);
  throw new UserError(`${text} is not an address: write it as 0x… with up to 16 digits`);
}

function mode(value: unknown): BreakpointMode {
  const found = BREAKPOINT_MODES.find((it) => it === value);
  if (found === undefined)
    throw new UserError(`mode must be one of ${BREAKPOINT_MODES.join(', ')}, not ${shown(value)}`);
  return found;
}

/** A value of any kind, size and depth in a message. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
