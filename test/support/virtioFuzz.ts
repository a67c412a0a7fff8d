/**
 * Hostile drivers: of the queue, and of the registers of each transport. A generator makes what a
 * correct driver could, and now and then spoils one thing of it, so that what is behind the first check is
 * reached too.
 */
import assert from 'node:assert/strict';
import {
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from '../../vmm-core/abi/virtioRing.ts';
import { DescriptorChain } from '../../vmm-core/devices/virtio/descriptorChain.ts';
import { SplitQueue } from '../../vmm-core/devices/virtio/queue.ts';
import { virtioDevice } from '../../vmm-core/devices/virtio/virtioDevice.ts';
import { allocateGuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { randomNumbers } from './devices.ts';
import { ECHO_STATE, echoClass, type EchoService } from './echoDevice.ts';
import { MockDriver, OFF_START, readable, writable } from './mockDriver.ts';
import { referencePop } from './referenceQueue.ts';
import { MmioDriver, PciFinder, VirtioMachine } from './virtioMachine.ts';

type Random = (below: number) => number;

const SLOT_BYTES = 0x8_0000;
const DATA = 0x4_0000;
/** One in so many descriptors is spoilt. */
const RARE = 80;

/** A queue finds in a guest's memory what the reference does, up to and with the first rule broken. */
export function queueRound(seed: number): void {
  const random = randomNumbers(seed + 1);
  const slots = [
    { base: 0, sizeBytes: SLOT_BYTES },
    { base: 0x1_0000_0000, sizeBytes: 0x1_0000 },
  ];
  const memory = allocateGuestMemory(slots, OFF_START);
  const [hasEventIdx, hasIndirect] = [random(2) === 0, random(4) !== 0];
  const driver = new MockDriver({ memory, size: 1 << random(7), hasEventIdx, hasIndirect });
  const broken: string[] = [];
  const queue = new SplitQueue(0, memory, (rule) => broken.push(rule.split(':')[0] ?? ''));
  assert.ok(queue.enable(driver.rings));
  const chain = new DescriptorChain();
  let taken = 0;
  for (let step = 0; step < 200 && broken.length === 0; step++) {
    if (random(3) !== 0) offerChain(driver, random, taken);
    const expected = referencePop(memory.slots, driver.rings, taken);
    const found = queue.pop(chain);
    if (typeof expected === 'string') {
      assert.equal(found, false, `a chain instead of ${expected}`);
      assert.deepEqual(broken, expected === 'empty' ? [] : [expected]);
      continue;
    }
    assert.ok(found, `no chain: ${broken.join()}`);
    assert.deepEqual(describe(chain), expected);
    taken = (taken + 1) & 0xffff;
    if (random(2) === 0) queue.push(chain.head, random(1000));
    queue.takeInterrupt();
  }
  if (broken.length > 0) assert.equal(queue.pop(chain), false);
}

function describe({ head, segments, readable: first, gpa, length }: DescriptorChain) {
  const all = Array.from({ length: segments }, (_, i) => `${length[i]}@${gpa[i]}`);
  return { head, readable: all.slice(0, first), writable: all.slice(first) };
}

/** One more chain is available, or something that looks like one. */
function offerChain(driver: MockDriver, random: Random, taken: number): void {
  const { size, desc } = driver.rings;
  const waiting = (driver.availIdx - taken) & 0xffff;
  if (waiting >= size && random(RARE) !== 0) return;
  const head = writeChain(driver, random, desc, size, true);
  driver.offer(random(RARE) === 0 ? random(2 * size) : head);
  if (random(8 * RARE) === 0) driver.setAvailIdx(random(0x1_0000));
}

/** Into a table of so many entries. Returns its first index. */
function writeChain(
  driver: MockDriver,
  random: Random,
  table: number,
  entries: number,
  mayNest: boolean,
): number {
  const length = 1 + random(Math.min(entries, 6));
  const start = mayNest ? random(entries) : 0;
  const firstWritable = random(length + 1);
  for (let i = 0; i < length; i++) {
    const isLast = i + 1 === length;
    const index = (start + i) % entries;
    const write = i >= firstWritable ? VRING_DESC_F_WRITE : 0;
    const flags = (isLast ? 0 : VRING_DESC_F_NEXT) | write;
    const plain = {
      gpa: DATA + random(0x1000),
      lengthBytes: random(0x2000),
      flags,
      next: (index + 1) % entries,
    };
    const isNested = isLast && (mayNest ? random(3) === 0 : random(RARE) === 0);
    const descriptor = isNested ? nestedTable(driver, random, plain.next) : plain;
    driver.writeDescriptor(index, random(RARE) === 0 ? spoilt(descriptor, random) : descriptor, table);
  }
  return start;
}

type Descriptor = Parameters<MockDriver['writeDescriptor']>[1];

function nestedTable(driver: MockDriver, random: Random, next: number): Descriptor {
  const entries = 1 + random(random(16) === 0 ? 300 : 8);
  const at = 0x6_0000 + random(0x400) * (random(4) === 0 ? 1 : 16);
  writeChain(driver, random, at, entries, false);
  return { gpa: at, lengthBytes: 16 * entries, flags: VRING_DESC_F_INDIRECT, next };
}

function spoilt(it: Descriptor, random: Random): Descriptor {
  switch (random(6)) {
    case 0:
      return {
        ...it,
        gpa: [0xffff_ffff_ffff_fff0n, 2n ** 53n + 1n, 0x1_0000_ffffn, 0x7_ffffn][random(4)] ?? 0n,
      };
    case 1:
      return { ...it, lengthBytes: [0xffff_ffff, 0, 1, SLOT_BYTES][random(4)] ?? 0 };
    case 2:
      return { ...it, flags: random(8) };
    case 3:
      return { ...it, next: random(0x1_0000), flags: it.flags | VRING_DESC_F_NEXT };
    case 4:
      return { ...it, next: 0, flags: it.flags | VRING_DESC_F_NEXT };
    default:
      return { ...it, gpa: 0x1_0000_0000 + random(0x100) };
  }
}

/**
 * Whatever is written to a transport's registers, nothing throws, nothing is under way once the status reads
 * 0, and a driver that comes then is served.
 */
export function registersRound(seed: number): void {
  const random = randomNumbers(seed + 1);
  const transport = random(2) === 0 ? 'pci' : 'mmio';
  const ioThread = random(2) === 0 ? 'io' : undefined;
  const driver = new MockDriver();
  const options = { transport, ...(ioThread === undefined ? {} : { ioThread }) } as const;
  const services: EchoService[] = [];
  const machine = new VirtioMachine(virtioDevice(echoClass(services, options)), ECHO_STATE, driver.memory);
  const service = services[0] ?? assert.fail();
  const finishOne = (): void => void (service.held > 0 && machine.service?.onDone?.(0, 0));
  const windows = transport === 'pci' ? pciWindows(machine) : [mmioWindow(machine)];
  service.isHolding = ioThread !== undefined && random(2) === 0;
  if (random(2) === 0) startWell(machine, driver, windows);
  for (let step = 0; step < 400; step++) {
    touch(windows[random(windows.length)] ?? mmioWindow(machine), random);
    assert.ok(machine.state.regs.status !== 0 || service.held === 0, 'reset, and not done');
    if (random(16) === 0) finishOne();
  }
  service.isHolding = false;
  while (service.held > 0) finishOne();
  machine.turn();
  machine.reset();
  assert.equal(machine.state.regs.status, 0);
  if (transport === 'mmio') assertServed(machine, driver);
}

/** As a correct driver does, with chains that wait for it. */
function startWell(machine: VirtioMachine, queue: MockDriver, windows: readonly RegisterWindow[]): void {
  for (let i = 0; i < 3; i++) queue.addChain([readable(16), writable(16)]);
  if (windows.length === 1) return new MmioDriver(machine).start([queue.rings]);
  const { size, desc, driver, device } = queue.rings;
  const steps: readonly (readonly [offset: number, sizeBytes: number, value: number])[] = [
    ...([
      [20, 1, 1],
      [20, 1, 3],
      [8, 4, 1],
      [12, 4, 0x101],
      [20, 1, 11],
    ] as const),
    ...([
      [22, 2, 0],
      [24, 2, size],
      [32, 4, desc],
      [40, 4, driver],
      [48, 4, device],
    ] as const),
    ...([
      [28, 2, 1],
      [20, 1, 15],
    ] as const),
  ];
  for (const [offset, sizeBytes, value] of steps) windows[0]?.write(offset, sizeBytes, value);
}

interface RegisterWindow {
  readonly sizeBytes: number;
  /** Offsets that matter, and so are touched more often than the rest. */
  readonly known: readonly number[];
  readonly read: (offset: number, sizeBytes: number) => number;
  readonly write: (offset: number, sizeBytes: number, value: number) => void;
}

function touch({ sizeBytes, known, read, write }: RegisterWindow, random: Random): void {
  const offset = random(4) === 0 ? random(sizeBytes) : (known[random(known.length)] ?? 0);
  const size = [1, 2, 4][random(3)] ?? 4;
  if (random(3) === 0) {
    const value = read(offset, size);
    assert.ok(value >= 0 && value < 256 ** size, `${value} of ${size} bytes at ${offset}`);
  } else {
    write(offset, size, valueOf(random));
  }
}

/** What registers mean something by: steps of the status, small numbers, addresses, anything. */
function valueOf(random: Random): number {
  const steps = [0, 1, 3, 11, 15, 0x80];
  switch (random(4)) {
    case 0:
      return steps[random(steps.length)] ?? 0;
    case 1:
      return random(4);
    case 2:
      return 0x1_0000 + 0x1000 * random(4);
    default:
      return random(2 ** 32);
  }
}

function mmioWindow({ set: { mmio } }: VirtioMachine): RegisterWindow {
  return {
    sizeBytes: 0x108,
    known: [0x10, 0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x80, 0x90, 0xa0, 0xc0, 0x104],
    read: (offset, size) => mmio.read(0xd000_0000 + offset, size),
    write: (offset, size, value) => mmio.write(0xd000_0000 + offset, size, value),
  };
}

/** The modern BAR, the legacy ports, and the capability that is a window. */
function pciWindows(machine: VirtioMachine): RegisterWindow[] {
  const { mmio, ports } = machine.set;
  const config = new PciFinder(machine);
  const memory = config.barBase(4);
  const legacy = config.readConfig(0x10) & ~3;
  const window = config.capability(5);
  return [
    {
      sizeBytes: 0x4000,
      known: [0, 8, 12, 16, 20, 20, 20, 22, 24, 26, 28, 32, 40, 48, 58, 0x1000, 0x2004, 0x3000, 0x3004],
      read: (offset, size) => mmio.read(memory + offset, size),
      write: (offset, size, value) => mmio.write(memory + offset, size, value),
    },
    {
      sizeBytes: 0x80,
      known: [0, 4, 8, 12, 14, 16, 18, 18, 19, 20, 22, 24],
      read: (offset, size) => ports.read(legacy + offset, size),
      write: (offset, size, value) => ports.write(legacy + offset, size, value),
    },
    {
      sizeBytes: 20,
      known: [4, 8, 12, 16],
      read: (offset, size) => config.readConfig(window + offset, size),
      write: (offset, size, value) => config.writeConfig(window + offset, value, size),
    },
  ];
}

function assertServed(machine: VirtioMachine, { memory }: MockDriver): void {
  const queue = new MockDriver({ memory, base: 0x8_0000, hasEventIdx: true, hasIndirect: true });
  const driver = new MmioDriver(machine);
  queue.setAvailIdx(0);
  driver.start([queue.rings]);
  const head = queue.addChain([readable(Buffer.from('hello')), writable(8)]);
  driver.kick(0);
  assert.deepEqual(queue.used(), [{ head, writtenBytes: 5 }]);
}
