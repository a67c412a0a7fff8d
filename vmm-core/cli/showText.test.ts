import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceReport, QueueReport } from '../protocol/devices.ts';
import { showText } from './showText.ts';

const MACHINE = {
  vcpus: [
    { cpu: 0, threadId: 100 },
    { cpu: 1, threadId: 0 },
  ],
  memory: [{ base: '0x0', sizeBytes: 0x1000_0000 }],
  devices: ['com1'],
  interrupts: [
    { gsi: 4, trigger: 'edge', users: ['com1', 'com3'], asserting: ['com3'] },
    { gsi: 11, trigger: 'level', users: ['disk0'] },
  ],
  chips: { IOAPIC: { 'pin 4': 'vector 0x30, fixed, to 0, edge' } },
} as const;
const BARE = { ports: [], mmio: [], irqs: [], registers: {} };

function shown(device: Partial<DeviceReport>): string[] {
  const devices = [{ ...BARE, name: 'disk0', type: 'disk', ...device }];
  const text = showText({ name: 'alpine', pid: 7, state: 'running', machine: MACHINE, devices });
  return text.slice(text.indexOf('disk0 (')).trimEnd().split('\n');
}

test('the machine comes first: threads, memory, interrupts and who asserts them', () => {
  const vm = { name: 'alpine', pid: 7, state: 'running', machine: MACHINE, devices: [] };
  assert.equal(
    showText(vm),
    `alpine  process 7, running
  vCPU threads  0: 100  1: starting
  RAM           0x0-0xfffffff (256 MiB)
  interrupts
    4   edge  com1, com3  (asserted by com3)
    11  level  disk0
  IOAPIC
    pin 4  vector 0x30, fixed, to 0, edge
`,
  );
});

test('registers are in two columns, tables and rings as what they are', () => {
  const registers = {
    ier: 5,
    time: '-12',
    fifo: { lengthBytes: 40, bytes: 'ab'.repeat(40) },
    output: { capacityBytes: 64, unreadBytes: 3 },
    vectors: [1, 2],
  };
  assert.deepEqual(shown({ ports: [{ base: '0x3f8', sizeBytes: 8 }], irqs: [4], registers }), [
    'disk0 (disk)',
    '  ports       0x3f8-0x3ff',
    '  interrupts  4',
    '  registers',
    '    ier      0x5',
    '    time     -12',
    `    fifo     40 bytes: ${'ab'.repeat(32)}…`,
    '    output   ring of 64, 3 unread',
    '    vectors  1 2',
  ]);
});

test('what a decoder says is nested as it says it', () => {
  const decoded = { baud: 9600, enabled: ['data', 'line'], pins: { dtr: true } };
  assert.deepEqual(shown({ decoded }).slice(1), [
    '  state',
    '    baud     9600',
    '    enabled  data, line',
    '    pins',
    '      dtr  true',
  ]);
});

test('of a network interface, what its link says follows', () => {
  const link = { counters: { dropped: 0 }, leases: ['10.0.2.15'] };
  assert.deepEqual(shown({ decoded: { kind: 'user' }, link }).slice(1), [
    '  state',
    '    kind  user',
    '  link',
    '    counters',
    '      dropped  0',
    '    leases  10.0.2.15',
  ]);
});

test('a function of the PCI bus: its BARs, pin and vectors', () => {
  const bits = (...set: string[]) => ({ value: '0x6', set });
  const pci = {
    ...{ address: '00:03.0', vendorId: '0x1af4', deviceId: '0x1042', classCode: '0x10000', revisionId: 1 },
    ...{ subsystemVendorId: '0x1af4', subsystemId: '0x40', command: bits('PCI_COMMAND_MASTER') },
    status: bits(),
    bars: [{ index: 0, kind: 'memory', sizeBytes: 0x1000, base: '0xc0000000', isDecoded: false }],
    pin: { gsi: 11, isAsserted: true, isLineAsserted: false },
    msix: {
      ...{ isEnabled: true, isFunctionMasked: true },
      vectors: [{ vector: 0, address: '0xfee00000', data: '0x41', isMasked: true, isPending: true }],
    },
  } as const;
  assert.deepEqual(shown({ pci }).slice(1), [
    '  PCI      00:03.0  0x1af4:0x1042  class 0x10000',
    '  command  0x6  PCI_COMMAND_MASTER',
    '  status   0x6',
    '  BAR 0    memory  0xc0000000-0xc0000fff  (not decoded)',
    '  pin      interrupt 11, up, the line down',
    '  MSI-X    enabled, all masked',
    '    0  0xfee00000 = 0x41  masked  pending',
  ]);
});

const QUEUE: QueueReport = {
  ...{ index: 0, maxSize: 256, size: 8, isEnabled: true, vector: 1, kicks: 3, interrupts: 2 },
  ...{ descriptorTable: '0x1000', availableRing: '0x2000', usedRing: '0x3000' },
  rings: {
    ...{ availFlags: 0, availIdx: 5, usedFlags: 1, usedIdx: 2, usedEvent: 2, availEvent: 4 },
    ...{ nextAvail: 4, inFlight: 2, available: 1, noKickSince: 4 },
    chains: [
      {
        head: 3,
        buffers: [
          { address: '0x4000', lengthBytes: 16, isWritable: false, isIndirect: false },
          { address: '0x5000', lengthBytes: 512, isWritable: true, isIndirect: true },
        ],
        problem: 'a loop',
      },
    ],
  },
};

test('a virtio device: the rule that was broken, features, and what waits in each queue', () => {
  const virtio = {
    ...{ deviceType: 2, isLegacy: true, brokenRule: '§2.7.5: …', notTaken: ['bit 9'], isr: 0 },
    ...{ configGeneration: 0, config: 'ff00', status: { value: '0x40', set: ['NEEDS_RESET'] } },
    features: { value: '0x0', set: [] },
    queues: [QUEUE, { ...QUEUE, index: 1, isEnabled: false }],
  };
  assert.deepEqual(shown({ virtio, registers: { status: 0x40 } }).slice(1), [
    '  virtio type           2, legacy interface',
    '  status                0x40  NEEDS_RESET',
    '  broken by the driver  §2.7.5: …',
    '  features              0x0',
    '  not taken             bit 9',
    '  configuration         ff00',
    '  queue 0               8 of at most 256, vector 1',
    '    descriptors     0x1000',
    '    available ring  0x2000',
    '    used ring       0x3000',
    '    counted         3 kicks, 2 interrupts',
    '    driver          avail.idx 5, flags 0, event 2',
    '    device          used.idx 2, flags 1, event 4',
    '    chains          1 available from 4 on, 2 in flight',
    '    no kick since   4',
    '    chain 3         read 16 at 0x4000  write 512 at 0x5000 (indirect)  (a loop)',
    '  queue 1               not enabled (at most 256)',
  ]);
});
