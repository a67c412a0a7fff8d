// The devices of one port: reset control, isa-debug-exit, pvpanic, debugcon.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordedPower, fuzzDevice, newRing } from '../../../test/support/devices.ts';
import { DEBUGCON_READBACK } from '../../abi/debugcon.ts';
import { RESET_CONTROL_RESET } from '../../abi/resetControl.ts';
import type { BusDevice } from '../../bus/busDevice.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { log } from '../../log.ts';
import { GuestOutput } from '../guestOutput.ts';
import { Debugcon, debugcon } from './debugcon.ts';
import { IsaDebugExit } from './isaDebugExit.ts';
import { Pvpanic } from './pvpanic.ts';
import { ResetControl, resetControl } from './resetControl.ts';

log.setLevel('error'); // guests are made to misbehave here

function newResetControl(): { device: ResetControl; power: RecordedPower } {
  const power = new RecordedPower();
  return { device: new ResetControl({ state: StateBlock.allocate(resetControl.state), power }), power };
}

function newDebugcon(capacity = 64) {
  const ring = newRing(capacity);
  let wakeups = 0;
  const onOutput = (): void => void wakeups++;
  const state = StateBlock.allocate(debugcon.state);
  const output = new GuestOutput({ name: 'debugcon', ring, onOutput, waitMs: 1 });
  const device = new Debugcon({ name: 'debugcon', state, output });
  return { device, output: ring, state, wakeups: () => wakeups };
}

test("reset control: the FADT's reset value resets", () => {
  const { device, power } = newResetControl();
  device.write(0, 1, RESET_CONTROL_RESET);
  assert.deepEqual(power.events, ['reset reset-control']);
});

test('reset control: choosing the kind of reset does not reset yet (Linux reboot=pci writes 2, then 6)', () => {
  const { device, power } = newResetControl();
  device.write(0, 1, device.read() | 0x02);
  assert.deepEqual(power.events, []);
  assert.equal(device.read(), 0x02);
  device.write(0, 1, device.read() | 0x04);
  assert.equal(power.events.length, 1);
  device.reset();
  assert.equal(device.read(), 0);
});

test('isa-debug-exit: the code is (value << 1) | 1, never 0', () => {
  const power = new RecordedPower();
  const device = new IsaDebugExit({ power });
  device.write(0, 1, 0);
  device.write(0, 1, 0x10);
  device.write(0, 4, 0xffff_ffff);
  assert.deepEqual(power.events, ['debugExit 1', 'debugExit 33', 'debugExit 4294967295']);
  assert.equal(device.read(), 0);
});

test('pvpanic: reads the events it understands and reports them', () => {
  const power = new RecordedPower();
  const device = new Pvpanic({ power });
  assert.equal(device.read(), 0b11);
  device.write(0, 1, 1);
  device.write(0, 1, 2);
  device.write(0, 1, 3);
  device.write(0, 1, 0x80);
  device.write(0, 1, 0);
  assert.deepEqual(power.events, ['panic panicked', 'panic crash-loaded', 'panic panicked']);
});

test('debugcon: reads 0xe9 and prints what is written, one wake-up per drain', () => {
  const { device, output, wakeups } = newDebugcon();
  assert.equal(device.read(), DEBUGCON_READBACK);
  for (const char of 'SeaBIOS') device.write(0, 1, char.charCodeAt(0));
  assert.equal(Buffer.from(output.drain()).toString(), 'SeaBIOS');
  assert.equal(wakeups(), 1);
});

test('debugcon: output nobody reads is dropped and counted', () => {
  const { device, output, state } = newDebugcon(4);
  for (let i = 0; i < 10; i++) device.write(0, 1, i);
  assert.equal(state.regs.dropped, 6);
  assert.deepEqual([...output.drain()], [0, 1, 2, 3]);
});

test('fuzz: random accesses never throw and stay in range', () => {
  const power = new RecordedPower();
  const devices: BusDevice[] = [
    newResetControl().device,
    new IsaDebugExit({ power }),
    new Pvpanic({ power }),
    newDebugcon().device,
  ];
  for (const [i, device] of devices.entries()) {
    const windowBytes = device.accessBytes === 1 ? 1 : 4;
    fuzzDevice(device, {
      seed: i + 1,
      rounds: 2000,
      windowBytes,
      check: (value, size) => assert.ok(Number.isInteger(value) && value >= 0 && value < 256 ** size),
    });
  }
});
