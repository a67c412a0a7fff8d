/**
 * Every attribute of a launch.json of type `vmm`, as the editor shows it: completion, hover, squiggles. scripts/manifest.ts writes
 * it into package.json. The values are checked by vmm-core/config/parseConfig.ts and debug-adapter/launchArguments.ts; a test
 * holds this table against them.
 */
import type { VM_KEYS } from '../../vmm-core/config/parseConfig.ts';
import { BOOT_PROTOCOLS, MAX_CPUS } from '../../vmm-core/config/vmConfig.ts';
import { BREAKPOINT_MODES } from '../../vmm-core/protocol/run.ts';

/** The part of JSON Schema that we use. */
export interface AttributeSchema {
  readonly type?: JsonType | readonly JsonType[];
  readonly enum?: readonly string[];
  readonly enumDescriptions?: readonly string[];
  readonly items?: AttributeSchema;
  readonly properties?: Readonly<Record<string, AttributeSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | AttributeSchema;
  readonly anyOf?: readonly AttributeSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly patternErrorMessage?: string;
  readonly default?: unknown;
  readonly markdownDescription?: string;
}

type JsonType = 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';

/** An attribute without a description does not compile. */
type Described<K extends string> = {
  readonly [P in K]: AttributeSchema & { readonly markdownDescription: string };
};

/** What describes the VM. `name` is every configuration's own: VS Code describes it. */
type VmKey = Exclude<(typeof VM_KEYS)[number], 'name'>;
/** What describes how to debug it. */
type DebugKey = 'stopOnEntry' | 'symbolFiles' | 'sourceMap' | 'breakpointMode' | 'stepInterrupts' | 'cwd';

const serialPort: AttributeSchema = {
  type: 'string',
  pattern: '^(terminal|null|file:.+)$',
  patternErrorMessage: 'A serial port is "terminal", "null" or "file:PATH".',
  default: 'terminal',
};

const debugAttributes: Described<DebugKey> = {
  stopOnEntry: {
    type: 'boolean',
    default: false,
    markdownDescription: "Stop at the guest's first instruction (`launch`), or where it is now (`attach`).",
  },
  symbolFiles: {
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
    default: [],
    markdownDescription:
      'More ELF files with DWARF, for what `kernel` does not describe: the `vmlinux` of a `bzImage`, a user program. `{ "path": …, "offset": "0x100000" }` when it runs at another address than it was linked for; `"addressSpace": "0x1f4000"` when it is mapped only while CR3 holds that, as a program among several is.',
  },
  sourceMap: {
    type: 'object',
    additionalProperties: { type: 'string' },
    default: {},
    markdownDescription:
      'Where sources are when they moved since the build: `{ "/build/kernel": "${workspaceFolder}" }`.',
  },
  breakpointMode: {
    type: 'string',
    enum: BREAKPOINT_MODES,
    enumDescriptions: [
      'Hardware while the page is not mapped or paging is off, int3 once it is.',
      'Debug registers only: at most four at a time.',
      'int3 in guest memory only.',
    ],
    default: 'auto',
    markdownDescription: 'How breakpoints are armed.',
  },
  stepInterrupts: {
    type: 'boolean',
    default: false,
    markdownDescription:
      'Let the guest take interrupts while it is stepped, and so step into their handlers.',
  },
  cwd: {
    type: 'string',
    default: '${workspaceFolder}',
    markdownDescription: 'The folder that relative paths start from.',
  },
};

export const launchAttributes: Described<VmKey | DebugKey> = {
  kernel: {
    type: 'string',
    markdownDescription:
      'The kernel image: ELF (multiboot, PVH or Linux 64-bit), `bzImage` or a flat binary. The only attribute that must be there.',
  },
  initrd: { type: 'string', markdownDescription: 'Initial RAM disk, or the first multiboot module.' },
  cmdline: { type: 'string', default: '', markdownDescription: "The kernel's command line." },
  protocol: {
    type: 'string',
    enum: BOOT_PROTOCOLS,
    default: 'auto',
    markdownDescription: 'How the kernel is started. `auto` sees it from the image.',
  },
  memory: {
    anyOf: [
      { type: 'string', pattern: '^\\s*[0-9]+(\\.[0-9]+)?\\s*([KMGTkmgt][Ii]?)?[Bb]?\\s*$' },
      { type: 'number', minimum: 1 },
    ],
    default: '256M',
    markdownDescription: 'Guest RAM: `"512M"`, `"2G"`, or a number of MiB.',
  },
  cpus: {
    type: 'integer',
    minimum: 1,
    maximum: MAX_CPUS,
    default: 1,
    markdownDescription: 'How many virtual CPUs. Each is a thread in the Call Stack.',
  },
  serial: {
    type: 'object',
    properties: { com1: serialPort, com2: serialPort, com3: serialPort, com4: serialPort },
    additionalProperties: false,
    default: { com1: 'terminal' },
    markdownDescription:
      'Where each serial port goes: `"terminal"`, `"file:PATH"` or `"null"`. COM1 is a terminal unless you say otherwise, the others go nowhere.',
  },
  debugExit: {
    type: 'boolean',
    default: false,
    markdownDescription:
      'Give the guest an `isa-debug-exit` device at port 0xf4: writing `v` ends the VM with exit code `v * 2 + 1`.',
  },
  onReset: {
    type: 'string',
    enum: ['reboot', 'exit'],
    default: 'reboot',
    markdownDescription: 'What a reset by the guest does: start it again, or end the session.',
  },
  ...debugAttributes,
};

export const attachAttributes: Described<'vm' | 'socket' | 'kernel' | DebugKey> = {
  vm: {
    type: 'string',
    markdownDescription:
      'Name of the running VM, as `vmm status` shows it. VS Code asks when it is not given.',
  },
  socket: { type: 'string', markdownDescription: 'Path of its control socket, instead of `vm`.' },
  kernel: { type: 'string', markdownDescription: 'The image it booted, for its symbols.' },
  ...debugAttributes,
};

/** What "Add Configuration…" offers. */
export const configurationSnippets = [
  {
    label: 'Trapframe: Boot a kernel',
    description: 'Boot a kernel image in a VM and debug it',
    body: {
      type: 'vmm',
      request: 'launch',
      name: 'Boot ${1:kernel}',
      kernel: '^"\\${workspaceFolder}/${2:kernel.elf}"',
    },
  },
  {
    label: 'Trapframe: Boot Linux',
    description: 'Boot a bzImage with an initrd, with the symbols of vmlinux',
    body: {
      type: 'vmm',
      request: 'launch',
      name: 'Boot Linux',
      kernel: '^"\\${workspaceFolder}/${1:arch/x86/boot/bzImage}"',
      initrd: '^"\\${workspaceFolder}/${2:initrd.img}"',
      cmdline: '${3:console=ttyS0 nokaslr}',
      memory: '1G',
      symbolFiles: ['^"\\${workspaceFolder}/${4:vmlinux}"'],
    },
  },
  {
    label: 'Trapframe: Attach to a running VM',
    description: 'Debug a VM that "vmm run" or another window started, chosen from those that run',
    body: { type: 'vmm', request: 'attach', name: 'Attach to a VM' },
  },
] as const;
