import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PciMachine } from '../../../test/support/pciMachine.ts';
import { plannableConfig, RecordedPower, threadHost } from '../../../test/support/devices.ts';
import { allocateDevices, buildDevices, type DeviceSet } from '../buildDevices.ts';
import { planMachine } from '../planner.ts';

const ECAM = 0xe000_0000;
const HOST = 0x8000_0000;
const ALL_ONES = 0xffff_ffff;

/** A PC as users have it. */
function wholeMachine(): DeviceSet & { readonly power: RecordedPower } {
  const plan = planMachine(plannableConfig());
  const power = new RecordedPower();
  const set = buildDevices(plan, allocateDevices(plan), threadHost({ power }));
  for (const { device } of set.devices) device?.reset?.();
  return { ...set, power };
}

function bridgeOnly() {
  const thread = new PciMachine({}).thread();
  thread.reset();
  return thread;
}

test('CONFIG_ADDRESS answers DWORDs only: a byte at CF9h is the reset port, others are nobody (§3.2.2.3.2)', () => {
  const { ports, power } = wholeMachine();
  ports.write(0xcf8, 4, 0x8000_0604);
  assert.equal(ports.read(0xcf8, 4), 0x8000_0604);
  assert.deepEqual(power.events, []);
  for (const port of [0xcf8, 0xcfa, 0xcfb]) {
    ports.write(port, 1, 0);
    assert.equal(ports.read(port, 1), 0xff);
  }
  ports.write(0xcf8, 2, 0);
  assert.equal(ports.read(0xcf8, 4), 0x8000_0604);
  ports.write(0xcf9, 1, 6);
  assert.equal(power.events.length, 1);
  assert.equal(ports.read(0xcf8, 4), 0x8000_0604);
});

test('reserved bits of CONFIG_ADDRESS read 0 (§3.2.2.3.2)', () => {
  const { ports } = bridgeOnly();
  ports.write(0xcf8, 4, ALL_ONES);
  assert.equal(ports.read(0xcf8, 4), 0x80ff_fffc);
});

test('CONFIG_DATA gives bytes and words of the register by the low bits of the port (§3.2.2.3.2)', () => {
  const { ports } = bridgeOnly();
  ports.write(0xcf8, 4, HOST);
  assert.equal(ports.read(0xcfc, 4), 0x1237_8086);
  assert.deepEqual(
    [0, 1, 2, 3].map((at) => ports.read(0xcfc + at, 1)),
    [0x86, 0x80, 0x37, 0x12],
  );
  assert.deepEqual(
    [0, 1, 2].map((at) => ports.read(0xcfc + at, 2)),
    [0x8086, 0x3780, 0x1237],
  );
  assert.equal(ports.read(0xcff, 2), 0xffff);
  ports.write(0xcf8, 4, HOST | 0x3c);
  ports.write(0xcfc, 1, 0x5a);
  assert.equal(ports.read(0xcfc, 4), 0x0000_005a);
});

test('bytes and words are found, too, by the reserved bits of CONFIG_ADDRESS, as QEMU finds them', () => {
  const { ports } = bridgeOnly();
  ports.write(0xcf8, 4, HOST | 2);
  assert.deepEqual(
    [ports.read(0xcfc, 2), ports.read(0xcfe, 2), ports.read(0xcfd, 1)],
    [0x1237, 0x1237, 0x12],
  );
  assert.equal(ports.read(0xcfc, 4), 0x1237_8086);
});

test('without the enable bit CONFIG_DATA is nobody (§3.2.2.3.2)', () => {
  const { ports } = bridgeOnly();
  ports.write(0xcf8, 4, 0x3c);
  ports.write(0xcfc, 1, 0x5a);
  assert.equal(ports.read(0xcfc, 4), ALL_ONES);
  ports.write(0xcf8, 4, HOST | 0x3c);
  assert.equal(ports.read(0xcfc, 1), 0);
});

test('a function or a bus that is not there reads all ones and takes nothing (§6.1)', () => {
  const { ports, mmio } = bridgeOnly();
  for (const address of [HOST + 0x1_0000, HOST + (31 << 11), HOST + (1 << 8)]) {
    ports.write(0xcf8, 4, address);
    ports.write(0xcfc, 4, 0);
    assert.equal(ports.read(0xcfc, 4), ALL_ONES);
    assert.equal(ports.read(0xcfc, 2), 0xffff);
  }
  assert.equal(mmio.read(ECAM + (31 << 15), 4), ALL_ONES);
});

test('ECAM has the same registers, 4 KiB a function; beyond 256 bytes there are none', () => {
  const { ports, mmio } = bridgeOnly();
  assert.equal(mmio.read(ECAM, 4), 0x1237_8086);
  mmio.write(ECAM + (1 << 15) + 0x3c, 1, 0x77);
  ports.write(0xcf8, 4, HOST | (1 << 11) | 0x3c);
  assert.equal(ports.read(0xcfc, 1), 0x77);
  for (const at of [0x100, 0xffc, 0xfe]) assert.equal(mmio.read(ECAM + at, 4), ALL_ONES);
  mmio.write(ECAM + 0xfe, 4, 0);
  assert.equal(mmio.read(ECAM + 0xfd, 2), 0);
});

test('what old guests look for: 440FX, PIIX3 with its PIRQs, PIIX4 with the ports of power management', () => {
  const { mmio } = wholeMachine();
  const at = (device: number, fn: number, register: number) =>
    mmio.read(ECAM + (device << 15) + (fn << 12) + register, 4);
  assert.deepEqual([at(0, 0, 0), at(1, 0, 0), at(1, 3, 0)], [0x1237_8086, 0x7000_8086, 0x7113_8086]);
  assert.deepEqual(
    [at(0, 0, 8), at(1, 0, 8), at(1, 3, 8)].map((it) => it >>> 16),
    [0x0600, 0x0601, 0x0680],
  );
  assert.equal((at(1, 0, 0xc) >>> 16) & 0xff, 0x80, 'a device of several functions');
  assert.equal(at(1, 0, 0x60), 0x0b0a_0b0a);
  assert.equal(at(1, 3, 0x40), 0x601);
  mmio.write(ECAM + (1 << 15) + (3 << 12) + 0x40, 4, 0x1001);
  assert.equal(at(1, 3, 0x40), 0x601, 'which cannot be moved');
});

test("Linux's and BSD's probes find mechanism 1, and no mechanism 2", () => {
  const { ports } = wholeMachine();
  ports.write(0xcfb, 1, 0x01);
  const before = ports.read(0xcf8, 4);
  ports.write(0xcf8, 4, HOST);
  assert.equal(ports.read(0xcf8, 4), HOST);
  ports.write(0xcf8, 4, before);
  for (const port of [0xcfb, 0xcf8, 0xcfa]) ports.write(port, 1, 0);
  assert.notDeepEqual([ports.read(0xcf8, 1), ports.read(0xcfa, 1)], [0, 0]);
});
