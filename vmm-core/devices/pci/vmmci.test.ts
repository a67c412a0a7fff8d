import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock, plannableConfig, RecordedIrq, threadHost } from '../../../test/support/devices.ts';
import { CONFIG_ENABLE, PORT_CONFIG_ADDRESS, PORT_CONFIG_DATA } from '../../abi/hostBridge.ts';
import { allocateGuestMemory } from '../../memory/guestMemory.ts';
import { allocateDevices, buildDevices } from '../buildDevices.ts';
import { planMachine } from '../planner.ts';
import { hostBridge } from './hostBridge.ts';
import { vmmci } from './vmmci.ts';

const [FEATURES, TAKEN, STATUS, ISR, COMMAND, TIME] = [0, 4, 18, 19, 20, 24];
const DRIVER_OK = 7;
const [SHUTDOWN, REBOOT] = [1, 2];
const SECOND_NS = 1_000_000_000n;

/** A guest whose driver finds it by PCI. */
function guest(features = 3) {
  const catalog = [hostBridge, vmmci];
  const plan = planMachine(plannableConfig({ guestControl: true }), catalog);
  const clock = new ManualClock();
  const irqs = new Map<number, RecordedIrq>();
  const irqLine = (gsi: number): RecordedIrq => {
    const irq = irqs.get(gsi) ?? new RecordedIrq();
    irqs.set(gsi, irq);
    return irq;
  };
  const armed: number[] = [];
  const stuck: string[] = [];
  const halts: bigint[] = [];
  const set = buildDevices(
    plan,
    allocateDevices(plan),
    threadHost({
      clock,
      irqLine,
      arm: (_, ms) => void armed.push(ms),
      notify: (_, event) => backend?.onEvent(event, 0),
    }),
    catalog,
  );
  const found = set.devices.find((it) => it.deviceClass === vmmci);
  assert.ok(found?.device !== undefined);
  const { device, state } = found;
  const unused = (): void => assert.fail();
  const backend = vmmci.backend?.(
    {},
    {
      ...{ name: 'vmmci', state: state as never, device, memory: allocateGuestMemory([]) },
      ...{ send: unused, onBehind: unused, onLost: unused, onTrouble: unused },
      onStuck: (message) => void stuck.push(message),
      onHalted: () => void halts.push(clock.ns),
    },
  );
  for (const it of set.devices) it.device?.reset?.();
  const configAt = (offset: number): number => {
    set.ports.write(PORT_CONFIG_ADDRESS, 4, CONFIG_ENABLE + (1 << 11) + offset);
    return set.ports.read(PORT_CONFIG_DATA, 4);
  };
  const base = configAt(0x10) & ~3;
  const read = (offset: number, sizeBytes = 4): number => set.ports.read(base + offset, sizeBytes);
  const write = (offset: number, value: number, sizeBytes = 4): void =>
    set.ports.write(base + offset, sizeBytes, value);
  write(TAKEN, features);
  const pass = (seconds: number): void => {
    clock.ns += BigInt(seconds) * SECOND_NS;
    device.onTimer?.();
  };
  const isInterrupted = (): boolean => [...irqs.values()].some((it) => it.asserted);
  return { device, read, write, configAt, clock, armed, stuck, halts, pass, isInterrupted };
}

describe("OpenBSD's VM control interface", () => {
  it('has the ids by which its driver knows it', () => {
    const { configAt, read } = guest();
    assert.equal(configAt(0), 0x0777_0b5d);
    assert.equal(configAt(0x2c), 0xffff_0b5d);
    assert.equal(configAt(8) & 0xff, 0, 'virtio 0.9');
    assert.equal(read(FEATURES), 3);
    assert.equal(read(12, 2), 0, 'no queues');
  });

  it('asks nothing of a guest without a driver that is ready', () => {
    const { device, write, read, armed } = guest();
    write(STATUS, 3, 1);
    assert.equal(device.powerButton?.(), false);
    assert.deepEqual([read(COMMAND), armed.length], [0, 0]);
  });

  it('interrupts the driver until it reads why, and asks for a reset, which is the end', () => {
    const { device, write, read, isInterrupted, armed } = guest();
    write(STATUS, DRIVER_OK, 1);
    assert.equal(device.powerButton?.(), true);
    assert.equal(device.powerButton?.(), true);
    assert.ok(isInterrupted());
    assert.equal(read(COMMAND), REBOOT);
    assert.equal(device.powersOffByReset?.(), true);
    assert.equal(read(ISR, 1), 2);
    assert.ok(!isInterrupted());
    assert.equal(read(ISR, 1), 0);
    assert.deepEqual(armed, [3000]);
  });

  it('waits 3 s for the driver to obey, and then 120 s for the guest', () => {
    const { device, write, pass, stuck } = guest();
    write(STATUS, DRIVER_OK, 1);
    device.powerButton?.();
    pass(2);
    write(COMMAND, REBOOT);
    pass(118);
    write(COMMAND, SHUTDOWN); // just before its reset, as of its own accord
    pass(1);
    assert.deepEqual(stuck, []);
    pass(1);
    assert.deepEqual(stuck, ['the guest was asked to shut down, and did not']);
    pass(1000);
    assert.equal(stuck.length, 1);
  });

  it('gives up when the driver does not say that it obeys', () => {
    const { device, write, pass, stuck } = guest();
    write(STATUS, DRIVER_OK, 1);
    device.powerButton?.();
    pass(3);
    assert.equal(stuck.length, 1);
  });

  it('hears a driver that obeys byte by byte, and one that resets the device on its way', () => {
    const { device, write, pass, stuck } = guest();
    write(STATUS, DRIVER_OK, 1);
    device.powerButton?.();
    [REBOOT, 0, 0, 0].forEach((byte, i) => write(COMMAND + i, byte, 1));
    pass(119);
    write(STATUS, 0, 1);
    assert.deepEqual([stuck.length, device.powersOffByReset?.()], [0, true]);
    pass(1);
    assert.equal(stuck.length, 1);
  });

  it('waits longer at once for a driver that does not say such things', () => {
    const { device, write, pass, stuck, armed } = guest(0);
    write(STATUS, DRIVER_OK, 1);
    device.powerButton?.();
    pass(119);
    assert.deepEqual(stuck, []);
    assert.deepEqual(armed, [120_000, 1001]);
  });

  it('lets a guest reboot of its own accord, which says that it shuts down', () => {
    const { device, write, pass, stuck, halts } = guest();
    write(STATUS, DRIVER_OK, 1);
    write(COMMAND, SHUTDOWN);
    assert.equal(device.powersOffByReset?.(), false);
    pass(2);
    device.reset?.();
    pass(1000);
    assert.deepEqual([stuck.length, halts.length], [0, 0]);
  });

  it('ends a guest that has shut down of its own accord and waits for a key', () => {
    const { write, pass, stuck, halts } = guest();
    write(STATUS, DRIVER_OK, 1);
    write(COMMAND, SHUTDOWN);
    pass(2);
    assert.equal(halts.length, 0);
    pass(1);
    pass(1000);
    assert.deepEqual([stuck.length, halts.length], [0, 1]);
  });

  it('tells main of one time, however often a guest says that it shuts down', () => {
    const { write, pass, armed, halts } = guest();
    for (let i = 0; i < 100; i++) {
      write(STATUS, DRIVER_OK, 1);
      write(COMMAND, SHUTDOWN);
      write(COMMAND, SHUTDOWN);
      write(STATUS, 0, 1);
      write(COMMAND, SHUTDOWN);
    }
    assert.deepEqual(armed, [3000]);
    pass(3);
    assert.equal(halts.length, 1);
  });

  it('forgets all at a reset of the machine', () => {
    const { device, write, read, pass, stuck } = guest();
    write(STATUS, DRIVER_OK, 1);
    device.powerButton?.();
    device.reset?.();
    assert.equal(device.powersOffByReset?.(), false);
    assert.deepEqual([read(STATUS, 1), read(TAKEN), read(COMMAND)], [0, 0, 0]);
    pass(1000);
    assert.equal(stuck.length, 0);
  });

  it("tells the host's time, whose four halves are of one reading", () => {
    const { read, clock } = guest();
    clock.ms = 5_000_000_000_123;
    const low = read(TIME);
    clock.ms += 10_000;
    const seconds = read(TIME + 4) * 2 ** 32 + low;
    assert.deepEqual([seconds, read(TIME + 8), read(TIME + 12)], [5_000_000_000, 123_000, 0]);
    assert.equal(read(TIME), 5_000_000_010 % 2 ** 32);
  });

  it('answers any access of any width', () => {
    const { read, write } = guest();
    for (let offset = 0; offset < 64; offset++) {
      for (const size of [1, 2, 4]) {
        write(offset, 0xffff_ffff % 256 ** size, size);
        assert.ok(read(offset, size) < 256 ** size);
      }
    }
  });
});
