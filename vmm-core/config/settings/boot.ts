/** What is booted, and how. */
import { imageCheck } from '../directiveChecks.ts';
import { valueFlag } from '../flags.ts';
import type { Setting } from '../setting.ts';
import { choice, notYet, path, text } from '../valueKinds.ts';

/** How the kernel image is started; `auto` decides from the image itself. */
export const BOOT_PROTOCOLS = ['auto', 'multiboot', 'linux64', 'bzimage', 'pvh', 'flat'] as const;
export type BootProtocol = (typeof BOOT_PROTOCOLS)[number];

const BOOT_DEVICES = ['cdrom', 'disk', 'net'] as const;
type BootDevice = (typeof BOOT_DEVICES)[number];

const FIRMWARE_WORDS = ['bios', 'uefi'];
const checkImage = imageCheck('firmware', 'image');

export const kernel = {
  value: path,
  isOptional: false,
  launch: {
    key: 'kernel',
    default: undefined,
    missing: 'is required: the path of the kernel image to boot',
    description:
      'The kernel image: ELF (multiboot, PVH or Linux 64-bit), `bzImage` or a flat binary. The only required attribute.',
  },
  flag: valueFlag('kernel', 'FILE', 'the image to boot: ELF, bzImage, multiboot or flat'),
  vmConf: {
    directives: {
      boot: {
        block: 'vm',
        words: ['boot'],
        args: [{ name: 'path', kind: 'string', means: 'path' }],
        form: '`boot` *path*',
        snippet: ' "$1"',
        text: 'A kernel or BIOS image to boot instead of the default firmware.',
        isOnce: 'a kernel',
        isBootable: true,
        check: imageCheck('boot'),
      },
      kernel: {
        block: 'vm',
        words: ['kernel'],
        args: [{ name: 'path', kind: 'string', means: 'path' }],
        isExtension: true,
        form: '`kernel` *path*',
        snippet: ' "$1"',
        text: 'The kernel image to boot: ELF, bzImage, multiboot, PVH or flat. The same as `boot`, of which only one may be given.',
        isOnce: 'a kernel',
        isBootable: true,
        check: imageCheck('kernel'),
      },
      allowBoot: {
        block: 'allow',
        words: ['boot'],
        args: [],
        form: '`boot`',
        text: 'Instances may choose the kernel or BIOS.',
      },
    },
    isInherited: true,
    read: (vm) => {
      const image = vm.last('boot', 'kernel')?.args['path'];
      return image === undefined ? '' : vm.path(image);
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<string>;

/** Of a VM that already runs, however it was started. */
export const attachedKernel = {
  value: path,
  isOptional: true,
  launch: {
    key: 'kernel',
    default: undefined,
    missing: undefined,
    description: 'The image it booted, for its symbols.',
  },
  flag: undefined,
  vmConf: undefined,
} as const satisfies Setting<string>;

export const initrd = {
  value: path,
  isOptional: true,
  launch: {
    key: 'initrd',
    default: undefined,
    missing: undefined,
    description: 'Initial RAM disk, or the first multiboot module.',
  },
  flag: valueFlag(
    'initrd',
    'FILE',
    'its initial RAM disk; "FILE ARGUMENTS" for a multiboot kernel\'s module',
  ),
  vmConf: {
    directives: {
      initrd: {
        block: 'vm',
        words: ['initrd'],
        args: [{ name: 'path', kind: 'string', means: 'path' }],
        isExtension: true,
        form: '`initrd` *path*',
        snippet: ' "$1"',
        text: "The kernel's initial RAM disk, or the first multiboot module.",
        isOnce: true,
        check: imageCheck('initrd'),
      },
    },
    isInherited: true,
    read: (vm) => {
      const image = vm.last('initrd')?.args['path'];
      return image === undefined ? undefined : vm.path(image);
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<string>;

export const cmdline = {
  value: text,
  isOptional: false,
  launch: { key: 'cmdline', default: '', missing: undefined, description: "The kernel's command line." },
  flag: valueFlag('cmdline', 'TEXT', 'its command line'),
  vmConf: {
    directives: {
      cmdline: {
        block: 'vm',
        words: ['cmdline'],
        args: [{ name: 'text', kind: 'string' }],
        isExtension: true,
        form: '`cmdline` *text*',
        snippet: ' "${1:console=ttyS0}"',
        text: "The kernel's command line.",
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => vm.last('cmdline')?.args['text']?.text ?? '',
    unsupported: () => undefined,
  },
} as const satisfies Setting<string>;

export const protocol = {
  value: choice(BOOT_PROTOCOLS),
  isOptional: false,
  launch: {
    key: 'protocol',
    default: 'auto',
    missing: undefined,
    description: 'How the kernel is started. `auto` detects it from the image.',
  },
  flag: valueFlag('protocol', 'P', 'auto, multiboot, linux64, bzimage, pvh or flat (auto)'),
  vmConf: {
    directives: {
      protocol: {
        block: 'vm',
        words: ['protocol'],
        args: [{ name: 'protocol', kind: BOOT_PROTOCOLS }],
        isExtension: true,
        form: '`protocol` (`auto` | `multiboot` | `linux64` | `bzimage` | `pvh` | `flat`)',
        text: 'How the kernel is started; `auto`, the default, decides from the image.',
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => {
      const word = vm.last('protocol')?.args['protocol']?.text;
      return BOOT_PROTOCOLS.find((it) => it === word) ?? 'auto';
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<BootProtocol>;

/** `bios`, `uefi` or a path. */
export const firmware = {
  value: notYet<string>(),
  isOptional: true,
  launch: undefined,
  flag: undefined,
  vmConf: {
    directives: {
      firmware: {
        block: 'vm',
        words: ['firmware'],
        args: [{ name: 'image', kind: 'string', suggestions: FIRMWARE_WORDS }],
        isExtension: true,
        form: '`firmware` (`bios` | `uefi` | *path*)',
        text: 'The firmware that boots disks and ISOs: `bios`, `uefi`, or the path of an image.',
        isOnce: true,
        isBootable: true,
        check: (written, findings) => {
          if (!FIRMWARE_WORDS.includes(written.args['image']?.text ?? '')) checkImage(written, findings);
        },
      },
    },
    isInherited: true,
    read: (vm) => {
      const image = vm.last('firmware')?.args['image'];
      return image === undefined || FIRMWARE_WORDS.includes(image.text) ? image?.text : vm.path(image);
    },
    unsupported: () => 'firmware',
  },
} as const satisfies Setting<string>;

export const bootDevice = {
  value: notYet<BootDevice>(),
  isOptional: true,
  launch: undefined,
  flag: undefined,
  vmConf: {
    directives: {
      bootDevice: {
        block: 'vm',
        words: ['boot', 'device'],
        args: [{ name: 'device', kind: BOOT_DEVICES }],
        form: '`boot device` (`cdrom` | `disk` | `net`)',
        text: 'What the firmware boots from. The last one counts.',
      },
    },
    isInherited: true,
    read: (vm) => {
      const word = vm.last('bootDevice')?.args['device']?.text;
      return BOOT_DEVICES.find((it) => it === word);
    },
    unsupported: () => 'boot device',
  },
} as const satisfies Setting<BootDevice>;
