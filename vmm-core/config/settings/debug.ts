/** What belongs to debugging: of the machine, of the debugger, and of attaching to a VM that runs. */
import { switchFlag } from '../flags.ts';
import type { Complain, Setting, ValueKind } from '../setting.ts';
import { choice, describe, flag, isObject, notYet, plain, text } from '../valueKinds.ts';

/** Debugging information besides the kernel's own. */
export interface SymbolFile {
  readonly path: string;
  /** Added to the file's link-time addresses. */
  readonly offset: bigint;
  /**
   * It is mapped only while CR3 holds this page table; always when absent. Bits of CR3 that are not address
   * bits do not count.
   */
  readonly addressSpace?: bigint;
}

export const debugExit = {
  value: flag,
  isOptional: false,
  launch: {
    key: 'debugExit',
    default: false,
    missing: undefined,
    description:
      'Give the guest an `isa-debug-exit` device at port 0xf4: writing `v` ends the VM with exit code `v * 2 + 1`.',
  },
  flag: switchFlag('debug-exit', 'isa-debug-exit at port 0xf4', { on: true, off: false }),
  vmConf: {
    directives: {
      debugExit: {
        block: 'debug',
        words: ['exit'],
        args: [],
        isExtension: true,
        form: '`exit`',
        text: 'The guest can end the VM with a value: isa-debug-exit at port 0xf4.',
      },
    },
    isInherited: true,
    read: (vm) => vm.allDebug('debugExit').length > 0,
    unsupported: () => undefined,
  },
} as const satisfies Setting<boolean>;

export const gdbSocket = {
  value: notYet<string>(),
  isOptional: true,
  launch: undefined,
  flag: undefined,
  vmConf: {
    directives: {
      gdbSocket: {
        block: 'vm',
        words: ['gdb', 'socket'],
        args: [{ name: 'path', kind: 'string', means: 'path' }],
        isExtension: true,
        form: '`gdb socket` *path*',
        snippet: ' "$1"',
        text: 'A unix socket where gdb can attach (`target remote` *path*).',
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => {
      const path = vm.last('gdbSocket')?.args['path'];
      return path === undefined ? undefined : vm.path(path);
    },
    unsupported: () => 'gdb socket',
  },
} as const satisfies Setting<string>;

/** `vmm run` has --wait for it. */
export const stopOnEntry = {
  value: flag,
  isOptional: false,
  launch: {
    key: 'stopOnEntry',
    default: false,
    missing: undefined,
    description: "Stop at the guest's first instruction (`launch`), or where it is now (`attach`).",
  },
  flag: undefined,
  vmConf: {
    directives: {
      debugWait: {
        block: 'debug',
        words: ['wait'],
        args: [],
        isExtension: true,
        form: '`wait`',
        text: 'The VM starts stopped, so that a debugger can attach first.',
      },
    },
    isInherited: true,
    read: (vm) => vm.allDebug('debugWait').length > 0,
    unsupported: () => undefined,
  },
} as const satisfies Setting<boolean>;

const FILE_KEYS: readonly string[] = ['path', 'offset', 'addressSpace'];
const FILE_FORM = '{ "path", "offset", "addressSpace" }';

const files: ValueKind<readonly SymbolFile[]> = {
  ...plain(
    {
      type: 'array',
      items: {
        anyOf: [
          { type: 'string' },
          {
            type: 'object',
            properties: {
              path: { type: 'string' },
              offset: { type: ['string', 'number'] },
              addressSpace: { type: ['string', 'number'] },
            },
            required: ['path'],
            additionalProperties: false,
          },
        ],
      },
    },
    (written, complain) => {
      if (!Array.isArray(written))
        return complain(`must be a list of paths or of ${FILE_FORM}, not ${describe(written)}`);
      return written.flatMap((item: unknown, i) => readFile(item, `[${i}]`, complain) ?? []);
    },
  ),
  resolve: (value, absolute) => value.map((it) => ({ ...it, path: absolute(it.path) })),
};

export const symbolFiles = {
  value: files,
  isOptional: false,
  launch: {
    key: 'symbolFiles',
    default: [],
    missing: undefined,
    description:
      'More ELF files with DWARF, for what `kernel` does not describe: the `vmlinux` of a `bzImage`, a user program. `{ "path": …, "offset": "0x100000" }` when it runs at a different address than it was linked for; `"addressSpace": "0x1f4000"` when it is mapped only while CR3 holds that, as one of several programs is.',
  },
  flag: undefined,
  vmConf: {
    directives: {
      debugSymbols: {
        block: 'debug',
        words: ['symbols'],
        args: [{ name: 'path', kind: 'string', means: 'path' }],
        isExtension: true,
        form: '`symbols` *path*',
        snippet: ' "$1"',
        text: 'Another ELF file with DWARF, besides the kernel; repeatable.',
      },
    },
    isInherited: true,
    read: (vm) =>
      vm.allDebug('debugSymbols').flatMap(({ args: { path } }) => {
        return path === undefined ? [] : [{ path: vm.path(path), offset: 0n }];
      }),
    unsupported: () => undefined,
  },
} as const satisfies Setting<readonly SymbolFile[]>;

/** Folder recorded by the compiler, to the folder where the sources are now. */
export const sourceMap = {
  value: {
    ...plain<Readonly<Record<string, string>>>(
      { type: 'object', additionalProperties: { type: 'string' } },
      (written, complain) => {
        if (!isObject(written)) {
          return complain(
            `must be an object such as { "/build": "\${workspaceFolder}" }, not ${describe(written)}`,
          );
        }
        const entries = Object.entries(written).flatMap(([from, to]) => {
          if (typeof to === 'string') return [[from, to]];
          complain(`must be the path of a folder, not ${describe(to)}`, `.${from}`);
          return [];
        });
        return Object.fromEntries(entries) as Record<string, string>;
      },
    ),
    resolve: (value, absolute) =>
      Object.fromEntries(Object.entries(value).map(([from, to]) => [from, absolute(to)])),
  },
  isOptional: false,
  launch: {
    key: 'sourceMap',
    default: {},
    missing: undefined,
    description:
      'Where sources are when they moved since the build: `{ "/build/kernel": "${workspaceFolder}" }`.',
  },
  flag: undefined,
  vmConf: undefined,
} as const satisfies Setting<Readonly<Record<string, string>>>;

const MODES = ['auto', 'hw', 'sw'] as const;
type Mode = (typeof MODES)[number];

export const breakpointMode = {
  value: {
    ...choice(MODES),
    schema: {
      type: 'string',
      enum: MODES,
      enumDescriptions: [
        'Hardware while the page is not mapped or paging is off, int3 once it is.',
        'Debug registers only: at most four at a time.',
        'int3 in guest memory only.',
      ],
    },
  },
  isOptional: false,
  launch: {
    key: 'breakpointMode',
    default: 'auto',
    missing: undefined,
    description: 'How breakpoints are armed.',
  },
  flag: undefined,
  vmConf: {
    directives: {
      debugBreakpoints: {
        block: 'debug',
        words: ['breakpoints'],
        args: [{ name: 'mode', kind: MODES }],
        isExtension: true,
        form: '`breakpoints` (`auto` | `hw` | `sw`)',
        text: 'How breakpoints are armed: by debug registers while a page is not mapped and int3 later, by debug registers only, or by int3 only.',
      },
    },
    isInherited: true,
    read: (vm) => {
      const word = vm.allDebug('debugBreakpoints').at(-1)?.args['mode']?.text;
      return MODES.find((it) => it === word) ?? 'auto';
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<Mode>;

export const stepInterrupts = {
  value: flag,
  isOptional: false,
  launch: {
    key: 'stepInterrupts',
    default: false,
    missing: undefined,
    description: 'Let the guest take interrupts while it is stepped, and so step into their handlers.',
  },
  flag: undefined,
  vmConf: undefined,
} as const satisfies Setting<boolean>;

/** Validated by VS Code: what is not a path counts as absent. */
export const cwd = {
  value: plain({ type: 'string' }, (written) =>
    typeof written === 'string' && written !== '' ? written : undefined,
  ),
  isOptional: true,
  launch: {
    key: 'cwd',
    default: '${workspaceFolder}',
    missing: undefined,
    description: 'The folder that relative paths start from.',
  },
  flag: undefined,
  vmConf: undefined,
} as const satisfies Setting<string>;

export const attachedVm = {
  value: text,
  isOptional: true,
  launch: {
    key: 'vm',
    default: undefined,
    missing: undefined,
    description: 'Name of the running VM, as `vmm status` shows it. VS Code asks when it is not given.',
  },
  flag: undefined,
  vmConf: undefined,
} as const satisfies Setting<string>;

export const attachedSocket = {
  value: text,
  isOptional: true,
  launch: {
    key: 'socket',
    default: undefined,
    missing: undefined,
    description: 'Path of its control socket, instead of `vm`.',
  },
  flag: undefined,
  vmConf: undefined,
} as const satisfies Setting<string>;

function readFile(item: unknown, part: string, complain: Complain): SymbolFile | undefined {
  if (typeof item === 'string' && item !== '') return { path: item, offset: 0n };
  if (!isObject(item) || typeof item['path'] !== 'string' || item['path'] === '')
    return complain(`must be a path or ${FILE_FORM}, not ${describe(item)}`, part);
  const unknown = Object.keys(item).find((it) => !FILE_KEYS.includes(it));
  if (unknown !== undefined)
    return complain(`is not a known setting; known are ${FILE_KEYS.join(', ')}`, `${part}.${unknown}`);
  const offset = readAddress(item['offset'] ?? 0);
  if (offset === undefined) {
    const rule = 'must be a number of bytes or a string such as "0x100000"';
    return complain(`${rule}, not ${describe(item['offset'])}`, `${part}.offset`);
  }
  const file = { path: item['path'], offset };
  if (item['addressSpace'] === undefined) return file;
  const addressSpace = readAddress(item['addressSpace']);
  if (addressSpace === undefined || addressSpace < 0n) {
    const rule = 'must be what CR3 holds while the file is mapped, such as "0x1f4000"';
    return complain(`${rule}, not ${describe(item['addressSpace'])}`, `${part}.addressSpace`);
  }
  return { ...file, addressSpace };
}

function readAddress(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== 'string') return undefined;
  const match = /^(-?)(0x[0-9a-f]{1,16}|\d{1,20})$/i.exec(value.trim());
  if (match?.[2] === undefined) return undefined;
  return match[1] === '-' ? -BigInt(match[2]) : BigInt(match[2]);
}
