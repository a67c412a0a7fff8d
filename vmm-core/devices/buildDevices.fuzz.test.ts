/**
 * The machine's ports and PCI under random accesses, as a hostile guest with two vCPUs would make them: two
 * worker threads over one block of shared memory, and the main thread that types and reads meanwhile. This
 * file is also the workers' code.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { ManualClock, plannableConfig, randomNumbers, threadHost } from '../../test/support/devices.ts';
import { COM_RESOURCES, UART_LSR, UART_LSR_TEMT, UART_LSR_THRE } from '../abi/uart16550.ts';
import { log } from '../log.ts';
import type { Bus } from '../bus/bus.ts';
import type { ByteRing } from '../bus/byteRing.ts';
import { PCI_ECAM, PCI_MEMORY_BASE } from '../memory/layout.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import { allocateDevices, buildDevices } from './buildDevices.ts';
import { debugcon } from './legacy/debugcon.ts';
import { uart16550 } from './legacy/uart16550.ts';
import { planMachine } from './planner.ts';

const ROUNDS = 20_000;
const SEEDS = [1, 2, 3];
const BUSY_PORTS = [
  0x60,
  0x64,
  0x70,
  0x71,
  0x80,
  0xe9,
  0xf4,
  0x402,
  0x505,
  0xcf9,
  ...range(0xcf8, 8),
  ...range(0x3d4, 2),
  ...range(0x510, 2),
  ...range(0x600, 12),
  ...COM_RESOURCES.flatMap(({ port }) => range(port, 8)),
];

/** Eight devices of eight functions, and more than they have in BARs. */
const ECAM_BYTES_OF_FUNCTIONS = 8 * 8 * 4096;
const BARS_BYTES = 0x4_0000;

const PLAN = planMachine(plannableConfig({ debugExit: true }));

/** The devices as the main thread uses them. */
interface TestMachine {
  readonly ports: Bus;
  readonly mmio: Bus;
  /** COM1..COM4, debugcon, firmware log. */
  readonly outputs: readonly ByteRing[];
  readonly inputs: readonly ByteRing[];
  receive(com: number): void;
  reset(): void;
}

interface Assignment {
  readonly seed: number;
  readonly buffer: SharedArrayBuffer;
}

/** What a thread saw that must not be. */
interface Findings {
  readonly thrown: readonly string[];
  readonly outOfRange: readonly string[];
  readonly accesses: number;
}

function range(base: number, length: number): number[] {
  return Array.from({ length }, (_, i) => base + i);
}

function build(buffer: SharedArrayBuffer, clock: ManualClock): TestMachine {
  const { ports, mmio, devices } = buildDevices(PLAN, buffer, threadHost({ clock }));
  const ofClass = (id: string) => devices.filter(({ planned }) => planned.classId === id);
  const uarts = ofClass(uart16550.id).map(({ planned, device }) => ({
    device,
    regs: new StateBlock(uart16550.state, buffer, planned.stateOffset).regs,
  }));
  const consoles = ofClass(debugcon.id).map(
    ({ planned }) => new StateBlock(debugcon.state, buffer, planned.stateOffset).regs,
  );
  return {
    ports,
    mmio,
    outputs: [...uarts.map(({ regs }) => regs.output), ...consoles.map(({ output }) => output)],
    inputs: uarts.map(({ regs }) => regs.input),
    receive: (com) => void uarts[com]?.device?.receive?.(),
    reset: () => devices.forEach(({ device }) => device?.reset?.()),
  };
}

function randomPort(random: (below: number) => number): number {
  return random(4) === 0 ? random(0x1_0000) : (BUSY_PORTS[random(BUSY_PORTS.length)] ?? 0);
}

/** Of a function's configuration space, or where firmware places BARs. */
function randomAddress(random: (below: number) => number): number {
  return random(2) === 0 ? PCI_ECAM + random(ECAM_BYTES_OF_FUNCTIONS) : PCI_MEMORY_BASE + random(BARS_BYTES);
}

/** Runs in a worker. The bus reports a device that throws as an error in the log. */
function hammer({ seed, buffer }: Assignment): Findings {
  const thrown: string[] = [];
  log.error = (tag, message, values): void => void thrown.push(`${tag} ${message} ${JSON.stringify(values)}`);
  log.setLevel('error'); // guests are made to misbehave here
  const outOfRange: string[] = [];
  const random = randomNumbers(seed);
  const clock = new ManualClock();
  const { ports, mmio } = build(buffer, clock);
  for (let round = 0; round < ROUNDS; round++) {
    const [bus, at] = random(4) === 0 ? [mmio, randomAddress(random)] : [ports, randomPort(random)];
    const size = [1, 2, 4][random(3)] ?? 1;
    if (random(2) === 0) {
      const value = bus.read(at, size);
      if (!Number.isInteger(value) || value < 0 || value >= 256 ** size) {
        outOfRange.push(`${at.toString(16)}: ${value}`);
      }
    } else {
      bus.write(at, size, random(2 ** 32));
    }
    clock.ms += random(100);
    clock.ns += BigInt(random(100_000_000));
  }
  return { thrown, outOfRange, accesses: ROUNDS };
}

/** Both threads to their end, the main thread doing a machine's work beside them. */
async function runTwo(seed: number, buffer: SharedArrayBuffer, main: TestMachine): Promise<Findings[]> {
  const random = randomNumbers(seed + 100);
  let running = 2;
  const findings = [seed, seed + 1000].map(async (threadSeed): Promise<Findings> => {
    const assignment: Assignment = { seed: threadSeed, buffer };
    const worker = new Worker(`require('tsx/cjs'); require(${JSON.stringify(import.meta.filename)});`, {
      eval: true,
      workerData: assignment,
    });
    const [found] = (await once(worker, 'message')) as [Findings];
    running--;
    return found;
  });
  while (running > 0) {
    for (const ring of main.outputs) ring.drain();
    const com = random(COM_RESOURCES.length);
    main.inputs[com]?.push(random(256));
    main.receive(com);
    await new Promise(setImmediate);
  }
  return Promise.all(findings);
}

if (isMainThread) {
  test(
    'fuzz: any access to ports and PCI by two threads at once ends, in range, no device throws, and the chips still work',
    { timeout: 120_000 },
    async () => {
      for (const seed of SEEDS) {
        const buffer = allocateDevices(PLAN);
        const main = build(buffer, new ManualClock());
        main.reset();
        for (const { thrown, outOfRange, accesses } of await runTwo(seed, buffer, main)) {
          assert.deepEqual(
            { thrown, outOfRange, accesses },
            { thrown: [], outOfRange: [], accesses: ROUNDS },
          );
        }
        checkStillWorks(main);
      }
    },
  );
} else {
  parentPort?.postMessage(hammer(workerData as Assignment));
}

/** No lock is held, and a reset brings every chip back. */
function checkStillWorks(machine: TestMachine): void {
  machine.reset();
  for (const ring of machine.outputs) ring.drain();
  COM_RESOURCES.forEach(({ port }, i) => {
    assert.equal(machine.ports.read(port + UART_LSR, 1) & UART_LSR_THRE, UART_LSR_THRE);
    assert.equal(machine.ports.read(port + UART_LSR, 1) & UART_LSR_TEMT, UART_LSR_TEMT);
    machine.ports.write(port, 1, 0x41 + i);
    assert.deepEqual([...(machine.outputs[i]?.drain() ?? [])], [0x41 + i]);
  });
  machine.ports.write(0xe9, 1, 0x21);
  assert.deepEqual([...(machine.outputs[4]?.drain() ?? [])], [0x21]);
  machine.ports.write(0x3d4, 2, 0x5a0f);
  assert.equal(machine.ports.read(0x3d5, 1), 0x5a);
}
