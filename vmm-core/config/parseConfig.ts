/**
 * From what a user wrote (launch.json, flags) to a VmConfig, with every problem named at its key. Pure: files and the host are looked
 * at later, by machine/. `null` and `undefined` values count as absent.
 */
import { nearest } from './nearest.ts';
import {
  BOOT_PROTOCOLS,
  type BootProtocol,
  COM_PORTS,
  type ConfigProblem,
  DEFAULT_MEMORY_BYTES,
  MAX_CPUS,
  MIN_MEMORY_BYTES,
  type SerialBackend,
  type VmConfig,
} from './vmConfig.ts';

export { nearest };

/** The keys that describe a VM, as users spell them in launch.json. */
export const VM_KEYS = [
  'name',
  'kernel',
  'initrd',
  'cmdline',
  'protocol',
  'memory',
  'cpus',
  'serial',
  'debugExit',
  'onReset',
] as const;

export interface ParsedConfig {
  /** Present when there are no problems. */
  readonly config?: VmConfig;
  readonly problems: readonly ConfigProblem[];
}

const SERIAL_KEYS = ['com1', 'com2', 'com3', 'com4'] as const;
const SERIAL_FORMS = '"terminal", "file:PATH", "null" or "stdio"';
const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const SIZE_PATTERN = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i;
const UNITS: Readonly<Record<string, number>> = {
  '': 2 ** 20,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

type Input = Readonly<Record<string, unknown>>;

/** `otherKeys`: keys that belong to the caller (debugger settings) and are accepted unread. */
export function parseVmConfig(input: Input, otherKeys: readonly string[] = []): ParsedConfig {
  const problems: ConfigProblem[] = [];
  const report = (key: string, message: string): undefined => void problems.push({ key, message });
  checkKeys(input, [...VM_KEYS, ...otherKeys], report);
  const kernel = text(input, 'kernel', report);
  if ((input.kernel ?? undefined) === undefined || kernel === '') {
    report('kernel', 'is required: the path of the kernel image to boot');
  }
  const initrd = text(input, 'initrd', report);
  const config: VmConfig = {
    name: parseName(input, kernel ?? '', report),
    kernel: kernel ?? '',
    ...(initrd === undefined ? {} : { initrd }),
    cmdline: text(input, 'cmdline', report) ?? '',
    protocol: choice<BootProtocol>(input, 'protocol', BOOT_PROTOCOLS, report) ?? 'auto',
    memoryBytes: parseMemory(input, report),
    cpus: parseCpus(input, report),
    serial: parseSerial(input, report),
    debugExit: flag(input, 'debugExit', report) ?? false,
    onReset: choice(input, 'onReset', ['reboot', 'exit'] as const, report) ?? 'reboot',
  };
  return problems.length === 0 ? { config, problems } : { problems };
}

/** Bytes from "512M", "1.5G", "4096" or 4096 (both MiB). Undefined when it is no size. */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value * 2 ** 20 : undefined;
  const match = SIZE_PATTERN.exec(value.trim());
  const unit = UNITS[match?.[2]?.toUpperCase() ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** "512 MiB", "1.5 GiB". */
export function formatSize(bytes: number): string {
  if (bytes >= 2 ** 30) return `${Number((bytes / 2 ** 30).toFixed(1))} GiB`;
  if (bytes >= 2 ** 20) return `${Number((bytes / 2 ** 20).toFixed(1))} MiB`;
  return `${Math.ceil(bytes / 1024)} KiB`;
}

type Report = (key: string, message: string) => undefined;

function checkKeys(input: Input, known: readonly string[], report: Report): void {
  for (const key of Object.keys(input)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean "${near}"?`;
    report(key, `is not a known setting; ${hint}`);
  }
}

function text(input: Input, key: string, report: Report): string | undefined {
  const value = input[key] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'string') {
    return value.includes('\0') ? report(key, 'must not contain a NUL character') : value;
  }
  return report(key, `must be a string, not ${describe(value)}`);
}

function flag(input: Input, key: string, report: Report): boolean | undefined {
  const value = input[key] ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  return report(key, `must be true or false, not ${describe(value)}`);
}

function choice<T extends string>(
  input: Input,
  key: string,
  values: readonly T[],
  report: Report,
): T | undefined {
  const value = input[key] ?? undefined;
  if (value === undefined) return undefined;
  const found = values.find((candidate) => candidate === value);
  return found ?? report(key, `must be one of ${values.join(', ')}, not ${describe(value)}`);
}

function parseName(input: Input, kernel: string, report: Report): string {
  const name = text(input, 'name', report);
  if (name === undefined || name === '') return defaultName(kernel);
  if (NAME_PATTERN.test(name)) return name;
  // launch.json names are free text ("Debug my kernel"); flags and vm.conf are checked by the same rule after this.
  return (
    name
      .replace(/[^A-Za-z0-9._-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 64) || defaultName(kernel)
  );
}

function defaultName(kernel: string): string {
  const base = kernel.split('/').at(-1) ?? '';
  return (
    base
      .replace(/[^A-Za-z0-9._-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 64) || 'vm'
  );
}

function parseMemory(input: Input, report: Report): number {
  const value = input.memory ?? undefined;
  if (value === undefined) return DEFAULT_MEMORY_BYTES;
  const bytes = typeof value === 'string' || typeof value === 'number' ? parseSize(value) : undefined;
  if (bytes === undefined) {
    report('memory', `must be a size such as "512M" or "2G", or a number of MiB, not ${describe(value)}`);
    return DEFAULT_MEMORY_BYTES;
  }
  if (bytes < MIN_MEMORY_BYTES)
    report('memory', `must be at least ${formatSize(MIN_MEMORY_BYTES)}, not ${describe(value)}`);
  return Math.floor(bytes / 4096) * 4096;
}

function parseCpus(input: Input, report: Report): number {
  const value = input.cpus ?? undefined;
  if (value === undefined) return 1;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_CPUS) return value;
  report('cpus', `must be a whole number from 1 to ${MAX_CPUS}, not ${describe(value)}`);
  return 1;
}

/** COM1 is a terminal unless told otherwise, the others go nowhere. */
function parseSerial(input: Input, report: Report): SerialBackend[] {
  const value = input.serial ?? undefined;
  if (value !== undefined && (typeof value !== 'object' || Array.isArray(value))) {
    report('serial', `must be an object such as { "com1": "terminal" }, not ${describe(value)}`);
  }
  const ports = (typeof value === 'object' && !Array.isArray(value) ? value : {}) as Input;
  checkKeys(ports, SERIAL_KEYS, (key, message) => report(`serial.${key}`, message));
  return SERIAL_KEYS.slice(0, COM_PORTS).map((key, i) => {
    const form = ports[key] ?? (i === 0 ? 'terminal' : 'null');
    const backend = typeof form === 'string' ? parseSerialBackend(form) : undefined;
    if (backend === undefined) report(`serial.${key}`, `must be ${SERIAL_FORMS}, not ${describe(form)}`);
    return backend ?? { kind: 'null' };
  });
}

/** One serial back end in the form users write. */
export function parseSerialBackend(form: string): SerialBackend | undefined {
  if (form === 'terminal' || form === 'client') return { kind: 'client' };
  if (form === 'null' || form === 'none') return { kind: 'null' };
  if (form === 'stdio') return { kind: 'stdio' };
  if (form.startsWith('file:') && form.length > 'file:'.length)
    return { kind: 'file', path: form.slice('file:'.length) };
  return undefined;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? JSON.stringify(value) : String(value); // bigints and symbols are no JSON
}
