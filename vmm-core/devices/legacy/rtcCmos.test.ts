import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, RecordedIrq, fuzzDevice } from '../../../test/support/devices.ts';
import * as abi from '../../abi/rtcCmos.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { RtcCmos, rtcCmos, type RtcMachine } from './rtcCmos.ts';
import { nextAlarmMs, timeFromRegisters, timeRegister } from './rtcTime.ts';

const GIB = 2 ** 30;
const BINARY_24H = abi.RTC_DM_BINARY | abi.RTC_24H;

function newRtc(utc?: string, machine: Partial<RtcMachine> = {}) {
  const clock = new ManualClock(utc);
  const irq = new RecordedIrq();
  const armed: number[] = [];
  const rtc = new RtcCmos({
    state: StateBlock.allocate(rtcCmos.state),
    irq,
    clock,
    arm: (delayMs) => void armed.push(delayMs),
    machine: { memoryBelow4G: GIB, memoryAbove4G: 0, cpus: 1, ...machine },
  });
  rtc.powerOn();
  rtc.reset();
  const get = (index: number): number => {
    rtc.write(abi.RTC_INDEX, 1, index);
    return rtc.read(abi.RTC_DATA, 1);
  };
  const put = (index: number, value: number): void => {
    rtc.write(abi.RTC_INDEX, 1, index);
    rtc.write(abi.RTC_DATA, 1, value);
  };
  return {
    rtc,
    clock,
    irq,
    armed,
    get,
    put,
    /** Century, year, month, day, hours, minutes, seconds, raw. */
    time: (): number[] => [abi.CMOS_CENTURY, 9, 8, 7, 4, 2, 0].map(get),
    /** Runs the clock to the moment the timer was armed for last, as the main thread does. */
    expire(): void {
      clock.ms += armed.at(-1) ?? 0;
      rtc.onTimer();
    },
  };
}

test('the time is UTC, BCD and 24 hours after power-on, with the century at 0x32', () => {
  const { time, get } = newRtc('2026-11-23T12:34:56.000Z');
  assert.deepEqual(time(), [0x20, 0x26, 0x11, 0x23, 0x12, 0x34, 0x56]);
  assert.equal(get(abi.RTC_DAY_OF_WEEK), 2); // a Monday
  assert.equal(get(abi.CMOS_CENTURY_PS2), 0x20);
});

test('register B chooses binary and 12 hours with bit 7 for PM', () => {
  const rtc = newRtc('2026-11-23T12:34:56.000Z');
  rtc.put(abi.RTC_REG_B, BINARY_24H);
  assert.deepEqual(rtc.time(), [0x20, 26, 11, 23, 12, 34, 56]);
  rtc.put(abi.RTC_REG_B, abi.RTC_DM_BINARY);
  assert.equal(rtc.get(abi.RTC_HOURS), 12 | abi.RTC_HOURS_PM);
  rtc.clock.ms += 12 * 3600_000;
  assert.equal(rtc.get(abi.RTC_HOURS), 12);
  rtc.clock.ms += 3600_000;
  assert.equal(rtc.get(abi.RTC_HOURS), 1);
});

test('bit 7 of the index (NMI gate) is not part of the register number; the index port reads all ones', () => {
  const { rtc } = newRtc();
  rtc.write(abi.RTC_INDEX, 1, 0x80 | abi.RTC_REG_D);
  assert.equal(rtc.read(abi.RTC_DATA, 1), abi.RTC_VRT);
  assert.equal(rtc.read(abi.RTC_INDEX, 1), 0xff);
});

test('every time survives being written and read back, in each format', () => {
  for (const regB of [0, abi.RTC_DM_BINARY, abi.RTC_24H, BINARY_24H]) {
    for (let ms = Date.parse('1970-01-01T00:00:00Z'); ms < Date.parse('2099-12-31'); ms += 40_000_000_123) {
      const bytes = new Uint8Array(abi.RTC_BYTES);
      for (const index of [0, 2, 4, 6, 7, 8, 9, abi.CMOS_CENTURY])
        bytes[index] = timeRegister(ms, index, regB);
      assert.equal(timeFromRegisters(bytes, regB), Math.floor(ms / 1000) * 1000);
    }
  }
});

test('UIP shows before each update and never for long, so a guest that waits for it goes on', () => {
  const { get, clock } = newRtc();
  let set = 0;
  for (let i = 0; i < 1000; i++, clock.ms++) if ((get(abi.RTC_REG_A) & abi.RTC_UIP) !== 0) set++;
  assert.equal(set, 2);
  clock.ms = Math.floor(clock.ms / 1000) * 1000 + 999;
  assert.notEqual(get(abi.RTC_REG_A) & abi.RTC_UIP, 0);
  clock.ms++;
  assert.equal(get(abi.RTC_REG_A) & abi.RTC_UIP, 0);
});

test('after UIP = 0 all time registers are of one moment, even if the second changes in between', () => {
  const rtc = newRtc('2026-12-31T23:59:59.997Z');
  assert.equal(rtc.get(abi.RTC_REG_A) & abi.RTC_UIP, 0);
  rtc.clock.ms += 4;
  assert.deepEqual(rtc.time(), [0x20, 0x26, 0x12, 0x31, 0x23, 0x59, 0x59]);
  rtc.clock.ms += 10;
  assert.deepEqual(rtc.time(), [0x20, 0x27, 0x01, 0x01, 0x00, 0x00, 0x00]);
});

test('with SET the time registers are plain bytes; without it time goes on from them (datasheet, register B)', () => {
  const rtc = newRtc('2026-11-23T12:34:56.250Z');
  rtc.put(abi.RTC_REG_B, abi.RTC_SET | abi.RTC_24H);
  rtc.clock.ms += 60_000;
  assert.equal(rtc.get(abi.RTC_SECONDS), 0x56);
  assert.equal(rtc.get(abi.RTC_REG_A) & abi.RTC_UIP, 0);
  const bytes: [number, number][] = [
    [abi.CMOS_CENTURY, 0x19],
    [abi.RTC_YEAR, 0x99],
    [abi.RTC_MONTH, 0x12],
    [abi.RTC_DAY_OF_MONTH, 0x31],
    [abi.RTC_HOURS, 0x23],
    [abi.RTC_MINUTES, 0x59],
    [abi.RTC_SECONDS, 0x58],
  ];
  for (const [index, value] of bytes) rtc.put(index, value);
  rtc.put(abi.RTC_REG_B, abi.RTC_24H);
  assert.deepEqual(rtc.time(), [0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58]);
  rtc.clock.ms += 2000;
  assert.deepEqual(rtc.time(), [0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00]);
});

test('Linux sets the time with SET and the divider in reset: the first update follows 500 ms after the release', () => {
  const rtc = newRtc();
  rtc.put(abi.RTC_REG_B, abi.RTC_24H | abi.RTC_SET);
  rtc.put(abi.RTC_REG_A, abi.RTC_DIV_RESET2 | abi.RTC_RATE_1024HZ);
  rtc.put(abi.RTC_SECONDS, 0x10);
  rtc.put(abi.RTC_REG_B, abi.RTC_24H);
  rtc.clock.ms += 5000;
  assert.equal(rtc.get(abi.RTC_SECONDS), 0x10, 'the divider still holds it');
  rtc.put(abi.RTC_REG_A, abi.RTC_REF_CLCK_32KHZ | abi.RTC_RATE_1024HZ);
  rtc.clock.ms += 499;
  assert.equal(rtc.get(abi.RTC_SECONDS), 0x10);
  rtc.clock.ms += 1;
  assert.equal(rtc.get(abi.RTC_SECONDS), 0x11);
});

test('a time register written while the clock runs changes that register', () => {
  const rtc = newRtc('2026-11-23T12:34:56.700Z');
  rtc.put(abi.RTC_MINUTES, 0x05);
  assert.deepEqual(rtc.time(), [0x20, 0x26, 0x11, 0x23, 0x12, 0x05, 0x56]);
  rtc.clock.ms += 300;
  assert.equal(rtc.get(abi.RTC_SECONDS), 0x57);
});

test('D says the battery is good; C and D ignore writes', () => {
  const { get, put } = newRtc();
  put(abi.RTC_REG_D, 0);
  put(abi.RTC_REG_C, 0xff);
  assert.equal(get(abi.RTC_REG_D), abi.RTC_VRT);
  assert.equal(get(abi.RTC_REG_C), 0);
});

test('C collects update and periodic flags without interrupts enabled, and reading clears it', () => {
  const { get, clock, irq, armed } = newRtc();
  get(abi.RTC_REG_C);
  clock.ms += 1000;
  assert.equal(get(abi.RTC_REG_C), abi.RTC_UF | abi.RTC_PF);
  assert.equal(get(abi.RTC_REG_C), 0);
  assert.equal(irq.edges, 0);
  assert.deepEqual(armed, []);
});

test('UIE interrupts at each second until C is read', () => {
  const rtc = newRtc('2026-11-23T12:34:56.250Z');
  rtc.get(abi.RTC_REG_C);
  rtc.put(abi.RTC_REG_B, abi.RTC_24H | abi.RTC_UIE);
  assert.deepEqual(rtc.armed, [750]);
  rtc.expire();
  assert.equal(rtc.irq.asserted, true);
  assert.equal(rtc.get(abi.RTC_REG_C), abi.RTC_IRQF | abi.RTC_UF | abi.RTC_PF);
  assert.equal(rtc.irq.asserted, false);
  assert.deepEqual(rtc.armed, [750, 1000]);
  rtc.expire();
  assert.equal(rtc.irq.edges, 2);
});

test('a timer that fires early is armed again', () => {
  const rtc = newRtc('2026-11-23T12:34:56.250Z');
  rtc.put(abi.RTC_REG_B, abi.RTC_24H | abi.RTC_UIE);
  rtc.clock.ms += 749;
  rtc.rtc.onTimer();
  assert.equal(rtc.irq.asserted, false);
  assert.deepEqual(rtc.armed, [750, 1]);
});

test('PIE interrupts at the rate of register A, at most every millisecond', () => {
  const rtc = newRtc('2026-11-23T12:34:56.000Z');
  rtc.put(abi.RTC_REG_A, abi.RTC_REF_CLCK_32KHZ | 0x0f); // 2 Hz
  rtc.get(abi.RTC_REG_C);
  rtc.put(abi.RTC_REG_B, abi.RTC_24H | abi.RTC_PIE);
  assert.deepEqual(rtc.armed, [500]);
  rtc.expire();
  assert.equal(rtc.get(abi.RTC_REG_C), abi.RTC_IRQF | abi.RTC_PF);
  rtc.put(abi.RTC_REG_A, abi.RTC_REF_CLCK_32KHZ | 0x03); // 8192 Hz
  assert.equal(rtc.armed.at(-1), 1);
});

test("AIE interrupts when the alarm matches, with don't-care bytes", () => {
  const rtc = newRtc('2026-11-23T23:34:56.000Z');
  rtc.put(abi.RTC_SECONDS_ALARM, 0x30);
  rtc.put(abi.RTC_MINUTES_ALARM, 0xc0);
  rtc.put(abi.RTC_HOURS_ALARM, 0xff);
  rtc.put(abi.RTC_REG_B, abi.RTC_24H | abi.RTC_AIE);
  assert.deepEqual(rtc.armed, [34_000]);
  rtc.expire();
  assert.equal(rtc.irq.asserted, true);
  assert.equal(rtc.get(abi.RTC_REG_C) & (abi.RTC_IRQF | abi.RTC_AF), abi.RTC_IRQF | abi.RTC_AF);
  rtc.put(abi.RTC_HOURS_ALARM, 0x01);
  assert.equal(rtc.armed.at(-1), (3600 + 25 * 60) * 1000); // 23:35:30 to 01:00:30
});

test('an alarm that names no time never comes', () => {
  const bytes = new Uint8Array(abi.RTC_BYTES);
  bytes[abi.RTC_SECONDS_ALARM] = 0x75;
  bytes[abi.RTC_MINUTES_ALARM] = bytes[abi.RTC_HOURS_ALARM] = 0xff;
  assert.equal(nextAlarmMs(0, bytes, abi.RTC_24H), undefined);
});

test('the reset pin clears interrupt enables and flags and leaves time and RAM', () => {
  const rtc = newRtc();
  rtc.put(abi.RTC_MINUTES, 0x05);
  rtc.put(abi.CMOS_SHUTDOWN_STATUS, 0x0a);
  rtc.put(abi.RTC_REG_B, abi.RTC_24H | abi.RTC_UIE | abi.RTC_AIE | abi.RTC_PIE);
  rtc.expire();
  rtc.rtc.reset();
  assert.equal(rtc.irq.asserted, false);
  assert.equal(rtc.get(abi.RTC_REG_B), abi.RTC_24H);
  assert.equal(rtc.get(abi.RTC_MINUTES), 0x05);
  assert.equal(rtc.get(abi.CMOS_SHUTDOWN_STATUS), 0x0a);
});

test('Linux rtc_cmos: rate set, interrupts off, C read until quiet', () => {
  const { get, put, irq, armed } = newRtc();
  put(abi.RTC_REG_A, abi.RTC_REF_CLCK_32KHZ | abi.RTC_RATE_1024HZ);
  put(abi.RTC_REG_B, get(abi.RTC_REG_B) & ~(abi.RTC_PIE | abi.RTC_AIE | abi.RTC_UIE));
  assert.equal(get(abi.RTC_REG_C) & abi.RTC_IRQF, 0);
  assert.equal(get(abi.RTC_REG_B) & abi.RTC_24H, abi.RTC_24H);
  assert.deepEqual([irq.edges, armed], [0, []]);
});

test('memory size and processors are where SeaBIOS looks', () => {
  const { get } = newRtc(undefined, { memoryBelow4G: 3 * GIB, memoryAbove4G: 5 * GIB, cpus: 4 });
  const word = (at: number): number => get(at) | (get(at + 1) << 8);
  assert.equal(word(abi.CMOS_BASE_MEMORY_KIB), 640);
  assert.equal(word(abi.CMOS_EXTENDED_MEMORY_KIB), 0xffff);
  assert.equal(word(abi.CMOS_EXTENDED_MEMORY_POST_KIB), 0xffff);
  assert.equal(word(abi.CMOS_MEMORY_ABOVE_16M), (3 * GIB - 16 * 2 ** 20) / 65536);
  assert.equal(word(abi.CMOS_MEMORY_ABOVE_4G) | (get(abi.CMOS_MEMORY_ABOVE_4G + 2) << 16), (5 * GIB) / 65536);
  assert.equal(get(abi.CMOS_SMP_COUNT), 3);
  let sum = 0;
  for (let at = 0x10; at <= 0x2d; at++) sum += get(at);
  assert.equal((get(0x2e) << 8) | get(0x2f), sum & 0xffff);
});

test('a machine of less than 16 MiB has none above them', () => {
  const { get } = newRtc(undefined, { memoryBelow4G: 8 * 2 ** 20 });
  const word = (at: number): number => get(at) | (get(at + 1) << 8);
  assert.equal(word(abi.CMOS_EXTENDED_MEMORY_KIB), 7 * 1024);
  assert.equal(word(abi.CMOS_MEMORY_ABOVE_16M), 0);
});

test('fuzz: random accesses never throw, stay in a byte, and the timer is armed for at least a millisecond', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { rtc, clock, armed } = newRtc();
    fuzzDevice(rtc, {
      seed,
      rounds: 3000,
      windowBytes: 2,
      check: (value) => assert.ok(Number.isInteger(value) && value >= 0 && value <= 0xff),
      between(random) {
        // Mostly the registers that do something; the host's clock also steps back.
        if (random(2) === 0) rtc.write(abi.RTC_INDEX, 1, random(14));
        clock.ms += random(3) === 0 ? random(100_000_000) - 40_000_000 : random(1000);
        if (random(10) === 0) rtc.onTimer();
      },
    });
    assert.ok(armed.every((delay) => Number.isInteger(delay) && delay >= 1));
  }
});
