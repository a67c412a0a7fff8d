// The whole port space of the machine under random accesses, as a hostile guest would make them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, RecordedIrq, RecordedPower, randomNumbers } from '../../test/support/devices.ts';
import { COM_RESOURCES } from '../abi/ports.ts';
import { log } from '../log.ts';
import { allocateDevices, buildDevices } from './deviceSet.ts';

log.setLevel('error'); // guests are made to misbehave here; the bus reports a device that throws as an error

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
  0xcf8,
  0xcf9,
  ...range(0x600, 12),
];
const UART_PORTS = COM_RESOURCES.flatMap(({ port }) => range(port, 8));

function range(base: number, length: number): number[] {
  return Array.from({ length }, (_, i) => base + i);
}

test('fuzz: any access to any port by two threads over one machine ends, in range, and no device throws', (t) => {
  const bugs = t.mock.method(log, 'error', () => undefined);
  for (let seed = 1; seed <= 5; seed++) {
    const random = randomNumbers(seed);
    const clock = new ManualClock();
    const host = {
      debugExit: true,
      clock,
      power: new RecordedPower(),
      rtcTimer: { arm: () => undefined },
      irqLine: () => new RecordedIrq(),
      onOutput: () => undefined,
    };
    const buffer = allocateDevices();
    const threads = [buildDevices(buffer, host), buildDevices(buffer, host)];
    threads[0]?.reset();
    const known = [...BUSY_PORTS, ...UART_PORTS];
    for (let round = 0; round < 20_000; round++) {
      const machine = threads[random(threads.length)];
      assert.ok(machine !== undefined);
      const port = random(4) === 0 ? random(0x1_0000) : (known[random(known.length)] ?? 0);
      const size = [1, 2, 4][random(3)] ?? 1;
      if (random(2) === 0) {
        const value = machine.ports.read(port, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 256 ** size, `port ${port.toString(16)}`);
      } else {
        machine.ports.write(port, size, random(2 ** 32));
      }
      clock.ms += random(100);
      clock.ns += BigInt(random(100_000_000));
      if (round % 64 === 0) for (const ring of machine.outputs) ring.drain();
      if (round % 16 === 0) {
        const com = random(COM_RESOURCES.length);
        machine.inputs[com]?.push(random(256));
        machine.uarts[com]?.receive();
      }
    }
  }
  assert.deepEqual(
    bugs.mock.calls.map((call) => call.arguments),
    [],
  );
});
