import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, RecordedIrq, RecordedPower, fuzzDevice } from '../../../test/support/devices.ts';
import * as abi from '../../abi/acpiPm.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { log } from '../../log.ts';
import { AcpiPm, acpiPm } from './acpiPm.ts';

log.setLevel('error'); // guests are made to misbehave here

const { ACPI_PM1_CONTROL, ACPI_PM1_ENABLE, ACPI_PM1_STATUS, ACPI_PM_TIMER } = abi;
const PWRBTN = abi.ACPI_BITMASK_POWER_BUTTON_STATUS;
const SLEEP_S5 = (abi.SLP_TYP_S5 << abi.ACPI_SLEEP_TYPE_SHIFT) | abi.ACPI_BITMASK_SLEEP_ENABLE;

function newPm(timerBits?: 24 | 32) {
  const irq = new RecordedIrq();
  const power = new RecordedPower();
  const clock = new ManualClock();
  const state = StateBlock.allocate(acpiPm.state);
  const pm = new AcpiPm({ state, irq, clock, power, ...(timerBits === undefined ? {} : { timerBits }) });
  pm.reset();
  return { pm, irq, power, clock };
}

test('SCI_EN always reads 1: the machine has no SMI_CMD (§4.8.2.5)', () => {
  const { pm } = newPm();
  assert.equal(pm.read(ACPI_PM1_CONTROL, 2), abi.ACPI_BITMASK_SCI_ENABLE);
  pm.write(ACPI_PM1_CONTROL, 2, 0);
  assert.equal(pm.read(ACPI_PM1_CONTROL, 2), abi.ACPI_BITMASK_SCI_ENABLE);
});

test('the power button sets PWRBTN_STS and raises the SCI only when enabled (§4.8.3.1)', () => {
  const { pm, irq } = newPm();
  assert.equal(pm.powerButton(), false);
  assert.equal(pm.read(ACPI_PM1_STATUS, 2), PWRBTN);
  assert.equal(irq.asserted, false);
  pm.write(ACPI_PM1_ENABLE, 2, PWRBTN);
  assert.equal(irq.asserted, true);
  pm.write(ACPI_PM1_STATUS, 2, PWRBTN);
  assert.equal(irq.asserted, false);
  assert.equal(pm.powerButton(), true);
  assert.equal(irq.asserted, true);
});

test('status bits clear by writing one, and only those (§4.8.3.1.1)', () => {
  const { pm } = newPm();
  pm.powerButton();
  pm.write(ACPI_PM1_STATUS, 2, 0xffff & ~PWRBTN);
  assert.equal(pm.read(ACPI_PM1_STATUS, 2), PWRBTN);
  pm.write(ACPI_PM1_STATUS + 1, 1, PWRBTN >> 8); // by its byte
  assert.equal(pm.read(ACPI_PM1_STATUS, 2), 0);
});

test('PM1_EN keeps the bits that exist, by word, byte or together with PM1_STS', () => {
  const { pm } = newPm();
  pm.write(ACPI_PM1_ENABLE, 2, 0xffff);
  assert.equal(pm.read(ACPI_PM1_ENABLE, 2), 0x0721);
  pm.write(ACPI_PM1_ENABLE + 1, 1, 0x01);
  assert.equal(pm.read(ACPI_PM1_ENABLE, 2), 0x0121);
  pm.write(ACPI_PM1_STATUS, 4, (PWRBTN << 16) | 0xffff);
  assert.equal(pm.read(ACPI_PM1_STATUS, 4), PWRBTN << 16);
});

test('SLP_EN with the type of S5 powers off, in one write or after the type', () => {
  const { pm, power } = newPm();
  pm.write(ACPI_PM1_CONTROL, 2, abi.SLP_TYP_S5 << abi.ACPI_SLEEP_TYPE_SHIFT); // ACPICA writes twice
  assert.deepEqual(power.events, []);
  pm.write(ACPI_PM1_CONTROL, 2, SLEEP_S5);
  pm.write(ACPI_PM1_CONTROL + 1, 1, SLEEP_S5 >> 8);
  assert.deepEqual(power.events, ['powerOff', 'powerOff']);
  assert.equal(pm.read(ACPI_PM1_CONTROL, 2) & abi.ACPI_BITMASK_SLEEP_ENABLE, 0, 'SLP_EN is write-only');
});

test('other sleep types do nothing', () => {
  const { pm, power } = newPm();
  for (let type = 0; type < 8; type++) {
    if (type !== abi.SLP_TYP_S5) {
      pm.write(ACPI_PM1_CONTROL, 2, (type << abi.ACPI_SLEEP_TYPE_SHIFT) | abi.ACPI_BITMASK_SLEEP_ENABLE);
    }
  }
  assert.deepEqual(power.events, []);
});

test('the PM timer counts at 3.579545 MHz and wraps at its width', () => {
  for (const bits of [24, 32] as const) {
    const { pm, clock } = newPm(bits);
    assert.equal(pm.read(ACPI_PM_TIMER, 4), 0);
    clock.ns = 1_000_000_000n;
    assert.equal(pm.read(ACPI_PM_TIMER, 4), 3_579_545);
    clock.ns = 1_000_000_000n * 3600n;
    assert.equal(pm.read(ACPI_PM_TIMER, 4), (3_579_545 * 3600) % 2 ** bits);
    pm.write(ACPI_PM_TIMER, 4, 0);
    assert.equal(pm.read(ACPI_PM_TIMER, 2), ((3_579_545 * 3600) % 2 ** bits) & 0xffff, 'read-only');
  }
});

test('reset clears events and lowers the SCI', () => {
  const { pm, irq } = newPm();
  pm.write(ACPI_PM1_ENABLE, 2, PWRBTN);
  pm.powerButton();
  pm.reset();
  assert.equal(irq.asserted, false);
  assert.equal(pm.read(ACPI_PM1_STATUS, 4), 0);
});

test('fuzz: random accesses never throw and stay in range, the SCI follows status and enable', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { pm, irq, clock } = newPm();
    fuzzDevice(pm, {
      seed,
      rounds: 3000,
      windowBytes: abi.ACPI_PM_BYTES,
      check: (value, size) => assert.ok(Number.isInteger(value) && value >= 0 && value < 256 ** size),
      between(random) {
        clock.ns += BigInt(random(1_000_000_000));
        if (random(5) === 0) pm.powerButton();
        assert.equal(irq.asserted, (pm.read(ACPI_PM1_STATUS, 2) & pm.read(ACPI_PM1_ENABLE, 2)) !== 0);
      },
    });
  }
});
