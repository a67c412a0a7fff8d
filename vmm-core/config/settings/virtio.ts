/** Small virtio devices without options, and the bus of those that do not say their own. */
import type { Written } from '../directive.ts';
import { switchFlag, valueFlag } from '../flags.ts';
import type { Setting } from '../setting.ts';
import { choice, flag } from '../valueKinds.ts';

const TRANSPORTS = ['pci', 'mmio'] as const;
const ON_OFF = ['on', 'off'] as const;
/** `balloon` alone means the same as `balloon on`. */
const STATE = [{ name: 'state', kind: ON_OFF, isOptional: true }] as const;

/** Absent: PCI. */
export const virtio = {
  value: choice(TRANSPORTS),
  isOptional: true,
  launch: {
    key: 'virtio',
    default: undefined,
    missing: undefined,
    description:
      'Where virtio devices are: `"pci"`, the default, or `"mmio"`. Disks and network interfaces say their own.',
  },
  flag: valueFlag('virtio', 'BUS', 'pci or mmio: where virtio devices are, but for disks and networks (pci)'),
  vmConf: {
    directives: {
      virtio: {
        block: 'vm',
        words: ['virtio'],
        args: [{ name: 'bus', kind: TRANSPORTS }],
        isExtension: true,
        form: '`virtio` (`pci` | `mmio`)',
        text: 'Where virtio devices are: on the PCI bus (the default) or on MMIO, where ACPI tells of them. Disks and network interfaces say their own.',
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => TRANSPORTS.find((it) => it === vm.last('virtio')?.args['bus']?.text),
    unsupported: () => undefined,
  },
} as const satisfies Setting<(typeof TRANSPORTS)[number]>;

/** Absent: there is one. */
export const rng = {
  value: flag,
  isOptional: true,
  launch: {
    key: 'rng',
    default: undefined,
    missing: undefined,
    description: 'Give the guest a virtio random number generator. True unless you say otherwise.',
  },
  flag: switchFlag('no-rng', 'no virtio random number generator', { on: false, off: undefined }),
  vmConf: {
    directives: {
      rng: {
        block: 'vm',
        words: ['rng'],
        args: [{ name: 'state', kind: ON_OFF }],
        isExtension: true,
        form: '`rng` (`on` | `off`)',
        text: 'Whether the guest has a virtio random number generator; on when not given.',
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => (vm.last('rng')?.args['state']?.text === 'off' ? false : undefined),
    unsupported: () => undefined,
  },
} as const satisfies Setting<boolean>;

/** Absent: there is none. */
export const balloon = {
  value: flag,
  isOptional: true,
  launch: {
    key: 'balloon',
    default: undefined,
    missing: undefined,
    description:
      'Give the guest a virtio memory balloon, by which it gives memory back to the host: what it reports free, and what `vmm balloon` asks for.',
  },
  flag: switchFlag('balloon', 'a virtio memory balloon', { on: true, off: undefined }),
  vmConf: {
    directives: {
      balloon: {
        block: 'vm',
        words: ['balloon'],
        args: STATE,
        isExtension: true,
        form: '`balloon` [`on` | `off`]',
        text: 'Whether the guest has a virtio memory balloon, by which it gives memory back to the host; off when not given.',
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => isOn(vm.last('balloon')),
    unsupported: () => undefined,
  },
} as const satisfies Setting<boolean>;

/** Absent: there is none. */
export const guestControl = {
  value: flag,
  isOptional: true,
  launch: {
    key: 'guestControl',
    default: undefined,
    missing: undefined,
    description:
      "Give the guest OpenBSD's VM control device, vmmci(4): a guest that has its driver is asked to shut down by it, and reads the host's time there.",
  },
  flag: switchFlag('guest-control', "OpenBSD's VM control device, vmmci", { on: true, off: undefined }),
  vmConf: {
    directives: {
      guestControl: {
        block: 'vm',
        words: ['guest', 'control'],
        args: STATE,
        isExtension: true,
        form: '`guest control` [`on` | `off`]',
        text: 'Whether the guest has the VM control device vmmci(4), which every guest of vmd has; off when not given.',
        isOnce: true,
      },
    },
    isInherited: true,
    read: (vm) => isOn(vm.last('guestControl')),
    unsupported: () => undefined,
  },
} as const satisfies Setting<boolean>;

function isOn(written: Written | undefined): true | undefined {
  return written !== undefined && written.args['state']?.text !== 'off' ? true : undefined;
}
