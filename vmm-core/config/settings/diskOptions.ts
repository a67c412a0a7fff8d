/**
 * What can be said of a disk besides where it is, a row each: the objects in launch.json, what follows the
 * path of the flag, and the block that may follow vm.conf's directive come from it.
 */
import type { Directive, Written } from '../directive.ts';
import {
  blockOf,
  described,
  type Described,
  fromBlock,
  fromFlag,
  givenAgain,
  ON_OFF,
  type OptionRows,
  type OptionTable,
  optionTexts,
} from '../optionTable.ts';
import type { Complain, ValueKind } from '../setting.ts';
import { formatSize, parseSize } from '../size.ts';
import { choice, describe, flag, path, plain, wholeNumber } from '../valueKinds.ts';

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
} as const satisfies OptionRows;

const TABLE = {
  key: 'path',
  value: path,
  description: 'The image, or a block device.',
  missing: 'is required: the image, or a block device',
  form: 'a path or an object such as { "path": "root.qcow2" }',
  options: DISK_OPTIONS,
  aliases: { ro: ['readonly', true] },
} as const satisfies OptionTable<'path', string, OptionRows>;

/** Absent options are off, or as the table says. */
export type DiskConfig = Described<'path', string, typeof DISK_OPTIONS>;

export const DISK_TEXTS = optionTexts(TABLE);

/** A path, or an object. */
export const disk: ValueKind<DiskConfig> = described(TABLE);

/** The format that was asked for, or that its name tells. */
export function formatOf({ format, path: name }: DiskConfig): DiskFormat {
  return format ?? (name.toLowerCase().endsWith('.qcow2') ? 'qcow2' : 'raw');
}

/** `root.img,format=raw,readonly`, as launch.json has it; see fromFlag. */
export function diskFromFlag(text: string, refuse: (message: string) => void): Record<string, unknown> {
  return fromFlag(TABLE, text, refuse);
}

type BlockId = `disk${Capitalize<Exclude<keyof typeof DISK_OPTIONS, 'format'>>}`;

/** Directives of the block that may follow a disk; the keys are made as the type makes them. */
export const DISK_BLOCK = blockOf(TABLE, 'disk') as Readonly<Record<BlockId, Directive>>;

/** What its directives say, as the object that launch.json would have. */
export function diskFromBlock(items: readonly Written[]): Record<string, unknown> {
  return fromBlock(TABLE, 'disk', items);
}

/** An option that is there twice. */
export function repeatedInBlock(items: readonly Written[]): string | undefined {
  return givenAgain(TABLE, 'disk', items);
}

function wholeBytes(bytes: unknown, given: unknown, complain: Complain): number | undefined {
  if (typeof bytes !== 'number' || !Number.isFinite(bytes))
    return complain(`must be a size such as "100M", a second, not ${describe(given)}`);
  if (bytes < MIN_BANDWIDTH)
    return complain(`must be at least ${formatSize(MIN_BANDWIDTH)} a second, not ${describe(given)}`);
  return Math.floor(bytes);
}
