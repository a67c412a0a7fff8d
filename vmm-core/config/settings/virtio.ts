/** Virtio devices that a machine has without being asked, and the bus of those that do not say their own. */
import { switchFlag, valueFlag } from '../flags.ts';
import type { Setting } from '../setting.ts';
import { choice, flag } from '../valueKinds.ts';

const TRANSPORTS = ['pci', 'mmio'] as const;
const ON_OFF = ['on', 'off'] as const;

/** Absent: PCI. */
export const virtio = {
  value: choice(TRANSPORTS),
  isOptional: true,
  launch: {
    key: 'virtio',
    default: undefined,
    missing: undefined,
    description:
      'Where the random number generator and hvc0 are: `"pci"`, the default, or `"mmio"`. A disk says its own.',
  },
  flag: valueFlag('virtio', 'BUS', 'pci or mmio: where small virtio devices are (pci)'),
  vmConf: {
    directives: {
      virtio: {
        block: 'vm',
        words: ['virtio'],
        args: [{ name: 'bus', kind: TRANSPORTS }],
        isExtension: true,
        form: '`virtio` (`pci` | `mmio`)',
        text: 'Where the random number generator and hvc0 are: on the PCI bus (the default) or on MMIO, where ACPI tells of them. A disk says its own.',
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
