/** The machine: its name, its memory, its CPUs, its reset. */
import type { DirectiveFindings, WrittenValue } from '../directive.ts';
import { checkRange } from '../directiveChecks.ts';
import { numberFlag, switchFlag, valueFlag } from '../flags.ts';
import type { Complain, Setting, ValueKind } from '../setting.ts';
import { formatSize, parseSize } from '../size.ts';
import { choice, describe, notYet, text, wholeNumber } from '../valueKinds.ts';
import { scanScaled } from '../values.ts';

export const MAX_CPUS = 64;
export const MIN_MEMORY_BYTES = 1024 * 1024;
/** vmd's, of one VM. */
export const MAX_MEMORY_BYTES = 128 * 2 ** 30;

const MIB = 2 ** 20;
const PAGE_BYTES = 4096;
/** vmd's, which differs from launch.json's. */
const VM_CONF_DEFAULT_MEMORY_BYTES = 512 * MIB;
const RESETS = ['reboot', 'exit'] as const;

/**
 * launch.json's is free text ("Debug my kernel"): characters that cannot be in a socket's name are dropped,
 * which may leave nothing.
 */
export const name = {
  value: {
    ...text,
    read: (written, complain) => socketName(text.read(written, complain)),
    check: (value, complain) => socketName(text.check(value, complain)),
  },
  isOptional: false,
  launch: { key: 'name', default: '', missing: undefined, description: undefined },
  flag: valueFlag('name', 'NAME', "names the control socket (the kernel's file name)"),
  vmConf: {
    directives: {},
    isInherited: false,
    read: (vm) => vm.name,
    unsupported: () => undefined,
  },
} as const satisfies Setting<string>;

/** As written, in a configuration that attaches; there it may also be the VM's. */
export const configurationName = {
  value: text,
  isOptional: true,
  launch: { key: 'name', default: undefined, missing: undefined, description: undefined },
  flag: undefined,
  vmConf: undefined,
} as const satisfies Setting<string>;

/** A VM's name when it was not given one. */
export function nameOfKernel(kernel: string): string {
  return socketName(kernel.split('/').at(-1)) || 'vm';
}

const memory: ValueKind<number> = {
  schema: {
    anyOf: [
      { type: 'string', pattern: '^\\s*[0-9]+(\\.[0-9]+)?\\s*([KMGTkmgt][Ii]?)?[Bb]?\\s*$' },
      { type: 'number', minimum: 1 },
    ],
  },
  read: (written, complain) => {
    const bytes = typeof written === 'string' || typeof written === 'number' ? parseSize(written) : undefined;
    if (bytes === undefined) {
      return complain(`must be a size such as "512M" or "2G", or a number of MiB, not ${describe(written)}`);
    }
    return wholePages(bytes, written, complain);
  },
  check: (value, complain) =>
    typeof value === 'number' && Number.isFinite(value)
      ? wholePages(value, value / MIB, complain)
      : complain(`must be a number of bytes, not ${describe(value)}`),
  print: (bytes) => bytes / MIB,
  resolve: (bytes) => bytes,
};

export const memoryBytes = {
  value: memory,
  isOptional: false,
  launch: {
    key: 'memory',
    default: '256M',
    missing: undefined,
    description: 'Guest RAM: `"512M"`, `"2G"`, or a number of MiB.',
  },
  flag: valueFlag('memory', 'SIZE', '512M, 2G … (256M)'),
  vmConf: {
    directives: {
      memory: {
        block: 'vm',
        words: ['memory'],
        args: [
          {
            name: 'size',
            kind: 'size',
            means: 'bytes',
            suggestions: ['256M', '512M', '1G', '2G', '4G', '8G'],
          },
        ],
        form: '`memory` *size*',
        snippet: ' ${1:512M}',
        text: "The guest's RAM: bytes, or a number with one of the suffixes B K M G T P E (powers of 1024, either case, fractions allowed). At least 1M, at most 128G, rounded down to megabytes; 512M when not given.",
        isOnce: true,
        check: ({ args: { size } }, findings) => {
          if (size !== undefined) checkMemory(size, findings);
        },
      },
      allowMemory: {
        block: 'allow',
        words: ['memory'],
        args: [],
        form: '`memory`',
        text: 'Instances may choose their memory.',
      },
    },
    isInherited: true,
    read: (vm) => {
      const size = vm.last('memory')?.args['size'];
      if (size === undefined) return VM_CONF_DEFAULT_MEMORY_BYTES;
      return Number((bytesOf(size) ?? 0n) >> 20n) * MIB; // whole megabytes, as vmd rounds
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<number>;

export const cpus = {
  value: wholeNumber(1, MAX_CPUS),
  isOptional: false,
  launch: {
    key: 'cpus',
    default: 1,
    missing: undefined,
    description: 'How many virtual CPUs. Each is a thread in the Call Stack.',
  },
  flag: numberFlag('cpus', 'N', 'virtual CPUs (1)'),
  vmConf: {
    directives: {
      cpus: {
        block: 'vm',
        words: ['cpus'],
        args: [{ name: 'count', kind: 'number' }],
        isExtension: true,
        form: '`cpus` *count*',
        snippet: ' ${1:2}',
        text: 'How many virtual CPUs the guest has, 1 to 64; 1 when not given.',
        isOnce: true,
        check: ({ args: { count } }, findings) => {
          const range = { min: 1, max: MAX_CPUS, what: 'the number of CPUs' };
          if (!checkRange(count, 'count', range, findings)) return;
          const { cpus: present } = findings.host;
          if (present === undefined || Number(count.text) <= present) return;
          findings.warning('count', 'host', `this machine has ${present} CPUs, fewer than ${count.text}`);
        },
      },
    },
    isInherited: true,
    read: (vm) => Number(vm.last('cpus')?.args['count']?.text ?? 1),
    unsupported: () => undefined,
  },
} as const satisfies Setting<number>;

/** `reboot`: a guest reset starts it again; `exit`: a guest reset ends the VM. */
export const onReset = {
  value: choice(RESETS),
  isOptional: false,
  launch: {
    key: 'onReset',
    default: 'reboot',
    missing: undefined,
    description: 'What a reset by the guest does: start it again, or end the session.',
  },
  flag: switchFlag('no-reboot', 'a reset by the guest ends the VM', { on: 'exit', off: 'reboot' }),
  vmConf: {
    directives: {
      reset: {
        block: 'vm',
        words: ['reset'],
        args: [{ name: 'action', kind: RESETS }],
        isExtension: true,
        form: '`reset` (`reboot` | `exit`)',
        text: 'What a reset by the guest does: start it again (the default) or end the VM.',
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => (vm.last('reset')?.args['action']?.text === 'exit' ? 'exit' : 'reboot'),
    unsupported: () => undefined,
  },
} as const satisfies Setting<(typeof RESETS)[number]>;

export const memoryEncryption = {
  value: notYet<'sev' | 'seves'>(),
  isOptional: true,
  launch: undefined,
  flag: undefined,
  vmConf: {
    directives: {
      sev: {
        block: 'vm',
        words: ['sev'],
        args: [],
        form: '`sev`',
        text: "The guest's memory is encrypted: AMD SEV.",
      },
      seves: {
        block: 'vm',
        words: ['seves'],
        args: [],
        form: '`seves`',
        text: "The guest's memory and registers are encrypted: AMD SEV-ES.",
      },
    },
    isInherited: true,
    read: (vm) => (['sev', 'seves'] as const).find((it) => it === vm.last('sev', 'seves')?.id),
    unsupported: ({ id }) => id,
  },
} as const satisfies Setting<'sev' | 'seves'>;

function socketName(text: string | undefined): string {
  return (text ?? '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
}

/** `written` is for the message: what the user wrote, or the same in MiB. */
function wholePages(bytes: number, written: unknown, complain: Complain): number | undefined {
  return bytes < MIN_MEMORY_BYTES
    ? complain(`must be at least ${formatSize(MIN_MEMORY_BYTES)}, not ${describe(written)}`)
    : Math.floor(bytes / PAGE_BYTES) * PAGE_BYTES;
}

function bytesOf(size: WrittenValue): bigint | undefined {
  return size.isNumber ? BigInt(size.text) : scanScaled(size.text);
}

function checkMemory(size: WrittenValue, findings: DirectiveFindings): void {
  const bytes = bytesOf(size);
  if (bytes === undefined) {
    const meant = /^(\d+(?:\.\d+)?[KMGT])i?B$/i.exec(size.text)?.[1];
    const rule = 'write a number and one of B K M G T P E';
    const message = `"${size.text}" is not a size: ${rule}, such as ${meant ?? '512M'}`;
    return findings.error('size', 'value', message, meant);
  }
  if (bytes < MIN_MEMORY_BYTES) {
    const subject = size.isNumber && bytes > 0n ? `${size.text}M` : undefined;
    const hint = subject === undefined ? '' : `; did you mean ${subject}?`;
    const message = `a VM needs at least one megabyte of memory, "${size.text}" is less${hint}`;
    return findings.error('size', 'value', message, subject);
  }
  if (bytes > MAX_MEMORY_BYTES)
    return findings.error('size', 'value', 'a VM can have at most 128G of memory');
  const rounded = `${bytes >> 20n}M`;
  if ((bytes & 0xfffffn) !== 0n)
    findings.warning('size', 'rounded', `"${size.text}" is rounded down to ${rounded}`, rounded);
  const { memoryBytes: present } = findings.host;
  if (present === undefined || Number(bytes) <= present) return;
  const has = `${Math.floor(present / MIB)}M`;
  findings.warning('size', 'host', `this machine has ${has} of memory, less than "${size.text}"`);
}
