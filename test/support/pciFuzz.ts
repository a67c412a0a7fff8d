/**
 * A hostile guest on two threads against configuration space, BARs and MSI-X tables. What must hold is said
 * by models written from the specification, which see only what a guest can read.
 */
import assert from 'node:assert/strict';
import * as abi from '../../vmm-core/abi/pci.ts';
import type { PciBar, PciResources } from '../../vmm-core/devices/pci/pciResources.ts';
import { log } from '../../vmm-core/log.ts';
import { randomNumbers } from './devices.ts';
import { FIRST_DEVICE, IDS, PciMachine, type PciThread, seen } from './pciMachine.ts';

type Random = (below: number) => number;

const STEPS = 150;
const MSIX_BAR = 5;
const ALL_ONES = 0xffff_ffff;
const ECAM = 0xe000_0000;
const WINDOWS = { io: [0x1000, 0x1_0000], memory: [0xc000_0000, 0xd000_0000] } as const;

/** Runs `body`; a device that throws is only logged, and is a failure here. */
function withoutErrors(body: () => void): void {
  const error = log.error.bind(log);
  const errors: string[] = [];
  log.error = (tag, message, values): void => void errors.push(`${tag} ${message} ${JSON.stringify(values)}`);
  try {
    body();
  } finally {
    log.error = error;
  }
  assert.deepEqual(errors, []);
}

/** Writes to configuration space: every thread decodes alike, and as PCI 3.0 §6.2.5 says. */
export function fuzzPciBars(seed: number): void {
  const random = randomNumbers(seed + 1);
  withoutErrors(() => {
    const rig = new BarRig(random);
    for (let step = 0; step < STEPS; step++) {
      rig.act();
      rig.check();
    }
  });
}

class BarRig {
  readonly #random: Random;
  readonly #resources: readonly Partial<PciResources>[];
  readonly #machine: PciMachine;
  readonly #threads: readonly PciThread[];
  /** What each function's registers hold, and whether it asserts its pin. */
  readonly #values: number[];
  readonly #pins: boolean[];

  constructor(random: Random) {
    this.#random = random;
    this.#resources = Array.from({ length: 1 + random(4) }, () => randomFunction(random));
    this.#machine = new PciMachine(...this.#resources);
    this.#threads = [this.#machine.thread(), this.#machine.thread()];
    this.#values = this.#resources.map(() => 0);
    this.#pins = this.#resources.map(() => false);
    this.#main.reset();
  }

  get #main(): PciThread {
    const [main] = this.#threads;
    assert.ok(main !== undefined);
    return main;
  }

  /** One thing that a guest, a device or the machine does. */
  act(): void {
    const random = this.#random;
    const thread = pick(random, this.#threads);
    const index = random(this.#resources.length);
    const device = FIRST_DEVICE + index;
    switch (random(10)) {
      case 0:
        return thread.write(device, abi.PCI_COMMAND, 2, random(0x800));
      case 1: // any register, as any guest may
        return writeAnywhere(random, thread, device);
      case 2:
        this.#pins[index] = random(2) === 0;
        return thread.functions[index]?.setPin(this.#pins[index]);
      case 3:
        return this.#writeToBar(thread, index);
      case 4:
        if (random(10) === 0) this.#reset();
        return;
      default:
        return thread.writeBar(device, random(abi.PCI_STD_NUM_BARS), baseToTry(random));
    }
  }

  check(): void {
    const decoded = this.#decoded();
    this.#resources.forEach((resources, index) => {
      const device = FIRST_DEVICE + index;
      assert.equal(this.#main.read(device, 0, 4), IDS.deviceId * 2 ** 16 + IDS.vendorId);
      assert.equal(this.#main.read(device, abi.PCI_CLASS_REVISION, 4), IDS.classCode * 256 + IDS.revisionId);
      for (const bar of resources.bars ?? []) this.#checkSize(device, bar);
      const base = decoded.find((it) => it.index === index && it.bar.index === 0)?.base;
      const doorbell = this.#machine.doorbells[index]?.connected.map(({ address }) => address);
      assert.deepEqual(doorbell, base === undefined ? [] : [base], 'the doorbell is where BAR 0 is');
    });
    for (const it of decoded) this.#checkAnswer(it);
    this.#checkLines();
  }

  #reset(): void {
    this.#main.reset();
    this.#pins.fill(false);
  }

  #writeToBar(thread: PciThread, index: number): void {
    const place = this.#decoded().find((it) => it.index === index && it.bar.index !== MSIX_BAR);
    if (place === undefined) return;
    const value = this.#random(2 ** 32);
    (place.bar.kind === 'io' ? thread.ports : thread.mmio).write(place.base, 4, value);
    this.#values[index] = value;
  }

  /** From what a guest reads in configuration space. */
  #decoded(): Decoded[] {
    const decoded: Decoded[] = [];
    this.#resources.forEach((resources, index) => {
      for (const bar of allBars(resources)) {
        const base = configuredBase(this.#main, FIRST_DEVICE + index, bar);
        if (base === undefined || decoded.some((it) => overlap(it, bar, base))) continue;
        decoded.push({ index, bar, base });
      }
    });
    return decoded;
  }

  #checkSize(device: number, { index, kind, sizeBytes }: PciBar): void {
    const typeBits = kind === 'io' ? 1 : kind === 'memory64' ? 4 : 0;
    assert.equal(this.#main.readBar(device, index) % sizeBytes, typeBits, 'bits below the size are the type');
  }

  #checkAnswer({ index, bar, base }: Decoded): void {
    if (bar.index === MSIX_BAR) return;
    const last = bar.sizeBytes - 4;
    for (const { ports, mmio } of this.#threads) {
      const bus = bar.kind === 'io' ? ports : mmio;
      assert.equal(bus.read(base, 4), seen(this.#values[index] ?? 0, bar.index, 0));
      assert.equal(bus.read(base + last, 4), seen(this.#values[index] ?? 0, bar.index, last));
    }
  }

  #checkLines(): void {
    for (const gsi of [10, 11]) {
      const isWanted = this.#resources.some((resources, index) => {
        const device = FIRST_DEVICE + index;
        const command = this.#main.read(device, abi.PCI_COMMAND, 2);
        const isOn =
          (command & abi.PCI_COMMAND_INTX_DISABLE) === 0 && !isMsixOn(this.#main, device, resources);
        return (
          resources.hasInterruptPin === true &&
          10 + (device % 2) === gsi &&
          this.#pins[index] === true &&
          isOn
        );
      });
      assert.equal(this.#machine.irq(gsi).asserted, isWanted, `interrupt ${gsi}`);
    }
  }
}

interface Decoded {
  readonly index: number;
  readonly bar: PciBar;
  readonly base: number;
}

function randomFunction(random: Random): Partial<PciResources> {
  const bars: PciBar[] = [];
  for (let index = 0; index < MSIX_BAR; index++) {
    const kind = pick(random, ['io', 'memory', 'memory64', 'none'] as const);
    if (kind === 'none' || (kind === 'memory64' && index >= MSIX_BAR - 1)) continue;
    bars.push({ index, kind, sizeBytes: kind === 'io' ? 4 << random(8) : 16 << random(14) });
    if (kind === 'memory64') index++;
  }
  return {
    bars,
    ...(random(2) === 0 ? { hasInterruptPin: true } : {}),
    ...(random(2) === 0 ? { msixVectors: 1 + random(200), msixBar: MSIX_BAR } : {}),
  };
}

/** In the order of the guest's registers but for MSI-X's, which the machine's plan has last. */
function allBars({ bars = [], msixVectors }: Partial<PciResources>): PciBar[] {
  if (msixVectors === undefined) return [...bars];
  const sizeBytes = msixVectors * abi.PCI_MSIX_ENTRY_SIZE <= 2048 ? 4096 : 8192;
  return [...bars, { index: MSIX_BAR, kind: 'memory', sizeBytes }];
}

/** §6.2.5.1; undefined where it is not decoded, or outside what the bridge passes on. */
function configuredBase(
  thread: PciThread,
  device: number,
  { index, kind, sizeBytes }: PciBar,
): number | undefined {
  const command = thread.read(device, abi.PCI_COMMAND, 2);
  if ((command & (kind === 'io' ? abi.PCI_COMMAND_IO : abi.PCI_COMMAND_MEMORY)) === 0) return undefined;
  const low = thread.readBar(device, index);
  const high = kind === 'memory64' ? thread.readBar(device, index + 1) : 0;
  const base = high * 2 ** 32 + low - (low % sizeBytes);
  const [start, end] = kind === 'io' ? WINDOWS.io : WINDOWS.memory;
  return base >= start && base + sizeBytes <= end ? base : undefined;
}

function overlap(it: Decoded, bar: PciBar, base: number): boolean {
  if ((it.bar.kind === 'io') !== (bar.kind === 'io')) return false;
  return it.base < base + bar.sizeBytes && base < it.base + it.bar.sizeBytes;
}

/** The MSI-X capability is the first of the list. */
function isMsixOn(thread: PciThread, device: number, { msixVectors }: Partial<PciResources>): boolean {
  if (msixVectors === undefined) return false;
  const at = thread.read(device, abi.PCI_CAPABILITY_LIST, 1);
  return (thread.read(device, at + abi.PCI_MSIX_FLAGS, 2) & abi.PCI_MSIX_FLAGS_ENABLE) !== 0;
}

/** To size, to place near others, to place where nothing may be. */
function baseToTry(random: Random): number {
  const near = (WINDOWS.memory[0] + random(64) * 0x800) >>> 0;
  const port = WINDOWS.io[0] + random(256) * 4;
  return pick(random, [ALL_ONES, near, near, near, port, port, 0, random(2 ** 32), 0xcfff_f000, 0xfee0_0000]);
}

function writeAnywhere(random: Random, thread: PciThread, device: number): void {
  const size = pick(random, [1, 2, 4]);
  const offset = random(abi.PCI_CFG_SPACE_SIZE / size) * size;
  const value = pick(random, [0, ALL_ONES, random(2 ** 32)]);
  if (random(2) === 0) thread.write(device, offset, size, value);
  else thread.mmio.write(ECAM + (device << 15) + random(4096), size, value);
}

/** Accesses to an MSI-X table: the messages sent are those that PCI 3.0 §6.8 allows, no more and no fewer. */
export function fuzzMsix(seed: number): void {
  const random = randomNumbers(seed + 1);
  withoutErrors(() => {
    const rig = new MsixRig(random);
    for (let step = 0; step < STEPS; step++) {
      rig.act();
      rig.check();
    }
  });
}

const CAPABILITY = 0x40;
const FLAGS = CAPABILITY + abi.PCI_MSIX_FLAGS;
const RESERVED_CLEAR = [0xffff_fffc, ALL_ONES, ALL_ONES, 1];

class MsixRig {
  readonly #random: Random;
  readonly #vectors: number;
  readonly #machine: PciMachine;
  readonly #threads: readonly PciThread[];
  readonly #base: number;
  /** The model. */
  readonly #table: Uint32Array;
  readonly #pending = new Set<number>();
  readonly #expected: { address: number; data: number }[] = [];
  #flags = 0;
  #isMaster = false;

  constructor(random: Random) {
    this.#random = random;
    this.#vectors = 1 + random(pick(random, [4, 40, 400]));
    this.#machine = new PciMachine({ msixVectors: this.#vectors, msixBar: MSIX_BAR });
    this.#threads = [this.#machine.thread(), this.#machine.thread()];
    this.#threads[0]?.reset();
    this.#base = this.#threads[0]?.readBar(FIRST_DEVICE, MSIX_BAR) ?? 0;
    this.#table = new Uint32Array(4 * this.#vectors);
    for (let vector = 0; vector < this.#vectors; vector++) this.#table[4 * vector + 3] = 1;
  }

  act(): void {
    const random = this.#random;
    const thread = pick(random, this.#threads);
    const vector = random(this.#vectors + 2) - 1;
    switch (random(6)) {
      case 0:
        this.#flags = pick(random, [0, 0x4000, 0x8000, 0x8000, 0x8000, 0xc000]);
        thread.write(FIRST_DEVICE, FLAGS, 2, this.#flags);
        return this.#release();
      case 1:
        this.#isMaster = random(3) !== 0;
        thread.write(FIRST_DEVICE, abi.PCI_COMMAND, 2, this.#isMaster ? 6 : 2);
        return this.#release();
      case 2:
      case 3:
        thread.functions[0]?.raise(vector);
        return this.#raise(vector);
      default:
        return this.#write(thread);
    }
  }

  check(): void {
    assert.deepEqual(this.#machine.msi.sent, this.#expected);
    const thread = pick(this.#random, this.#threads);
    const { mmio } = thread;
    const dword = this.#random(this.#table.length);
    assert.equal(mmio.read(this.#base + 4 * dword, 4), this.#table[dword]);
    const pendingAt = thread.read(FIRST_DEVICE, CAPABILITY + abi.PCI_MSIX_PBA, 4) - MSIX_BAR;
    const byte = this.#random(Math.ceil(this.#vectors / 8));
    const bits = Array.from({ length: 8 }, (_, bit) => (this.#pending.has(8 * byte + bit) ? 1 << bit : 0));
    const expected = bits.reduce((sum, bit) => sum + bit, 0);
    assert.equal(mmio.read(this.#base + pendingAt + byte, 1), expected, `pending bits ${8 * byte} and up`);
  }

  #write({ mmio }: PciThread): void {
    const random = this.#random;
    const isWhole = random(4) !== 0;
    const at = isWhole ? 4 * random(this.#table.length + 8) : random(8192);
    const size = isWhole ? 4 : pick(random, [1, 2, 4]);
    const value = pick(random, [0, 1, ALL_ONES, random(2 ** 32)]);
    mmio.write(this.#base + at, size, value);
    const dword = at / 4;
    if (size !== 4 || !Number.isInteger(dword) || dword >= this.#table.length) return;
    this.#table[dword] = value & (RESERVED_CLEAR[dword % 4] ?? 0);
    this.#release();
  }

  #raise(vector: number): void {
    if ((this.#flags & 0x8000) === 0 || vector < 0 || vector >= this.#vectors) return;
    this.#pending.add(vector);
    this.#release();
  }

  /** Lowest vector first. */
  #release(): void {
    if (this.#flags !== 0x8000 || !this.#isMaster) return;
    for (const vector of [...this.#pending].sort((one, other) => one - other)) {
      const [low = 0, high = 0, data = 0, control = 0] = this.#table.subarray(4 * vector);
      if (control !== 0) continue;
      this.#pending.delete(vector);
      this.#expected.push({ address: high * 2 ** 32 + low, data });
    }
  }
}

function pick<T>(random: Random, list: readonly T[]): T {
  const it = list[random(list.length)];
  assert.ok(it !== undefined);
  return it;
}
