/**
 * What can be said of a disk besides where it is, a row each: the objects in launch.json, what follows the
 * path of the flag, and the block that may follow vm.conf's directive come from it.
 */
import type { Directive, Written } from '../directive.ts';
import type { Complain, ValueKind } from '../setting.ts';
import { formatSize, parseSize } from '../size.ts';
import { choice, describe, flag, isObject, path, plain, wholeNumber } from '../valueKinds.ts';
import { unknownKey } from '../unknownKey.ts';

export const DISK_FORMATS = ['raw', 'qcow2'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

const CACHES = ['writeback', 'none', 'unsafe'] as const;
const TRANSPORTS = ['pci', 'mmio'] as const;
const BACKINGS = ['beside', 'anywhere'] as const;
/** Virtio 1.2 §5.2.6: of the string that a driver can ask for. */
const MAX_SERIAL_BYTES = 20;
const MIN_BANDWIDTH = 4096;
const MAX_IOPS = 10_000_000;
const MIB = 2 ** 20;

interface DiskOption<T> {
  readonly value: ValueKind<T>;
  /** Continues "`name`: ". */
  readonly text: string;
  /** How vm.conf writes the value; undefined: not in the block. */
  readonly argument: Argument | undefined;
  /** What its name alone means as a flag and in vm.conf; absent: true. */
  readonly alone?: string;
}

interface Argument {
  readonly kind: 'string' | 'number' | 'size' | readonly string[];
  readonly form: string;
  readonly isOptional?: true;
}

const BOOLEANS = new Map([
  ['on', true],
  ['off', false],
  ['true', true],
  ['false', false],
]);
const ON_OFF: Argument = { kind: ['on', 'off'], form: ' [`on` | `off`]', isOptional: true };

const serialNumber = plain<string>({ type: 'string' }, (written, complain) =>
  typeof written === 'string' && /^[\x20-\x7e]*$/.test(written) && written.length <= MAX_SERIAL_BYTES
    ? written
    : complain(`must be at most ${MAX_SERIAL_BYTES} ASCII characters, not ${describe(written)}`),
);

/** Bytes a second. */
const bandwidth: ValueKind<number> = {
  schema: { anyOf: [{ type: 'string' }, { type: 'number' }] },
  read: (written, complain) => {
    const isSize = typeof written === 'string' || typeof written === 'number';
    return wholeBytes(isSize ? parseSize(written) : undefined, written, complain);
  },
  check: (value, complain) => wholeBytes(value, value, complain),
  print: (bytes) => bytes / MIB,
  resolve: (bytes) => bytes,
};

/** In the order in which they are listed everywhere. */
export const DISK_OPTIONS = {
  format: {
    value: choice(DISK_FORMATS),
    text: '`raw` or `qcow2`; by the name when not given: qcow2 when it ends in `.qcow2`, else raw',
    argument: undefined,
  },
  readonly: { value: flag, text: 'the guest cannot write it', argument: ON_OFF },
  cache: {
    value: choice(CACHES),
    text: "`writeback`, the default, uses the host's page cache; `none` goes past it (O_DIRECT); `unsafe` ignores the guest's flushes and loses data when the host crashes",
    argument: {
      kind: CACHES,
      form: ' (`writeback` | `none` | `unsafe`)',
    },
  },
  discard: { value: flag, text: 'what the guest discards is given back to the host (on)', argument: ON_OFF },
  snapshot: { value: flag, text: 'what the guest writes is thrown away at the end', argument: ON_OFF },
  serial: {
    value: serialNumber,
    text: 'the serial number that the guest sees, at most 20 characters',
    argument: { kind: 'string', form: ' *text*' },
  },
  iothread: { value: flag, text: 'the disk has an I/O thread of its own', argument: ON_OFF },
  transport: {
    value: choice(TRANSPORTS),
    text: 'where the virtio device is: `pci`, the default, or `mmio`',
    argument: { kind: TRANSPORTS, form: ' (`pci` | `mmio`)' },
  },
  backing: {
    value: choice(BACKINGS),
    text: 'which backing files a qcow2 image may name: `beside` it, in its folder or below, or `anywhere`; an image that has one is refused when not given, since it could name any file of the host',
    argument: { kind: BACKINGS, form: ' [`beside` | `anywhere`]', isOptional: true },
    alone: 'beside',
  },
  iops: {
    value: wholeNumber(1, MAX_IOPS),
    text: 'how many requests a second it takes',
    argument: { kind: 'number', form: ' *count*' },
  },
  bandwidth: {
    value: bandwidth,
    text: 'how many bytes a second it moves, as a size: `100M`',
    argument: { kind: 'size', form: ' *size*' },
  },
} as const satisfies Readonly<Record<string, DiskOption<unknown>>>;

type Options = typeof DISK_OPTIONS;
type OptionName = keyof Options;
type ValueOf<Row> = Row extends { readonly value: ValueKind<infer T> } ? T : never;

/** Absent options are off, or as the table says. */
export type DiskConfig = { readonly path: string } & {
  readonly [K in OptionName]?: ValueOf<Options[K]>;
};

const ROWS: readonly (readonly [string, DiskOption<unknown>])[] = Object.entries(DISK_OPTIONS);
const KEYS = ['path', ...Object.keys(DISK_OPTIONS)];

/** A path, or an object. */
export const disk: ValueKind<DiskConfig> = {
  schema: {
    anyOf: [
      { type: 'string' },
      {
        type: 'object',
        properties: {
          path: { ...path.schema, description: 'The image, or a block device.' },
          ...Object.fromEntries(
            ROWS.map(([name, { value, text }]) => [name, { ...value.schema, description: sentence(text) }]),
          ),
        },
        required: ['path'],
        additionalProperties: false,
      },
    ],
  },
  read: (written, complain) => {
    if (typeof written === 'string') return diskOf({ path: written }, complain, 'read');
    if (isObject(written)) return diskOf(written, complain, 'read');
    return complain(`must be a path or an object such as { "path": "root.qcow2" }, not ${describe(written)}`);
  },
  check: (value, complain) =>
    isObject(value)
      ? diskOf(value, complain, 'check')
      : complain(`must be an object, not ${describe(value)}`),
  print: (value) => {
    const given = ROWS.flatMap(([name, row]) => {
      const option: unknown = Reflect.get(value, name);
      return option === undefined ? [] : [[name, row.value.print(option)] as const];
    });
    return given.length === 0 ? value.path : { path: value.path, ...Object.fromEntries(given) };
  },
  resolve: (value, absolute) => ({ ...value, path: absolute(value.path) }),
};

/** The format that was asked for, or that its name tells. */
export function formatOf({ format, path: name }: DiskConfig): DiskFormat {
  return format ?? (name.toLowerCase().endsWith('.qcow2') ? 'qcow2' : 'raw');
}

/**
 * `root.img,format=raw,readonly`, as launch.json has it; a comma in the path is written twice. `refuse`
 * throws: an option is empty, or there twice.
 */
export function diskFromFlag(text: string, refuse: (message: string) => void): Record<string, unknown> {
  const [first = '', ...options] = text.replaceAll(',,', '\0').split(',');
  const given = options.map((it): [string, unknown] => {
    const [name = '', ...rest] = it.split('=');
    const value = rest.length === 0 ? undefined : rest.join('=').replaceAll('\0', ',');
    const key = name === 'ro' ? 'readonly' : name;
    return [key, inLaunchForm(key, value)];
  });
  if (given.some(([key]) => key === '')) refuse('an option is empty; a comma in the path is written twice');
  const again = given.find(([key], i) => given.findIndex(([it]) => it === key) < i);
  if (again !== undefined) refuse(`${again[0]} is given more than once`);
  return { path: first.replaceAll('\0', ','), ...Object.fromEntries(given) };
}

type BlockId = `disk${Capitalize<Exclude<OptionName, 'format'>>}`;

/** Directives of the block that may follow a disk. */
export const DISK_BLOCK = Object.fromEntries(
  ROWS.flatMap(([name, row]) =>
    row.argument === undefined ? [] : [[blockId(name), blockDirective(name, row, row.argument)]],
  ),
) as Readonly<Record<BlockId, Directive>>; // the keys are made as the type makes them

/** A directive of the block, as an entry of the object that launch.json would have. */
export function fromBlock({ id, args: { value } }: Written): [string, unknown] {
  const name = ROWS.find(([it]) => blockId(it) === id)?.[0] ?? id;
  return [name, inLaunchForm(name, value?.text)];
}

function blockId(name: string): string {
  return `disk${capitalized(name)}`;
}

function sentence(text: string): string {
  return `${capitalized(text)}.`;
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function blockDirective(name: string, { value, text }: DiskOption<unknown>, argument: Argument): Directive {
  return {
    block: 'disk',
    words: [name],
    args: [
      { name: 'value', kind: argument.kind, ...(argument.isOptional === true ? { isOptional: true } : {}) },
    ],
    isExtension: true,
    form: `\`${name}\`${argument.form}`,
    text: sentence(text),
    check: (written, findings) => {
      const [, given] = fromBlock(written);
      value.read(given, (message) => void findings.error('value', 'value', `"${name}" ${message}`));
    },
  };
}

/** A value that was text, as JSON would have it; what does not fit stays text, for the message. */
function inLaunchForm(name: string, text: string | undefined): unknown {
  const row = ROWS.find(([it]) => it === name)?.[1];
  if (text === undefined) return row?.alone ?? true;
  const type = row?.value.schema.type;
  if (type === 'boolean' && BOOLEANS.has(text)) return BOOLEANS.get(text);
  return type === 'integer' && /^\d+$/.test(text) ? Number(text) : text;
}

function diskOf(
  given: Readonly<Record<string, unknown>>,
  complain: Complain,
  how: 'read' | 'check',
): DiskConfig | undefined {
  let isGood = true;
  const complainOf =
    (part: string): Complain =>
    (message, inside = '') => {
      isGood = false;
      return complain(message, `.${part}${inside}`);
    };
  for (const key of Object.keys(given)) {
    const message = unknownKey(key, KEYS);
    if (message !== undefined) complainOf(key)(message);
  }
  const options = ROWS.flatMap(([name, { value }]) => {
    const it = given[name] ?? undefined;
    const found = it === undefined ? undefined : value[how](it, complainOf(name));
    return found === undefined ? [] : [[name, found] as const];
  });
  const name = path[how](given['path'] ?? '', complainOf('path'));
  if (name === '') complainOf('path')('is required: the image, or a block device');
  if (!isGood || name === undefined) return undefined;
  return { path: name, ...Object.fromEntries(options) };
}

function wholeBytes(bytes: unknown, given: unknown, complain: Complain): number | undefined {
  if (typeof bytes !== 'number' || !Number.isFinite(bytes))
    return complain(`must be a size such as "100M", a second, not ${describe(given)}`);
  if (bytes < MIN_BANDWIDTH)
    return complain(`must be at least ${formatSize(MIN_BANDWIDTH)} a second, not ${describe(given)}`);
  return Math.floor(bytes);
}
