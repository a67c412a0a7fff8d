/**
 * The MC146818's way to write a time down: 10 bytes and a century, BCD or binary, 12 or 24 hours (datasheet,
 * Table 3). Pure; rtcCmos.ts decides which time. Times are milliseconds since 1970 in the guest's idea of
 * UTC.
 */
import * as abi from '../../abi/rtcCmos.ts';

const MS_PER_SECOND = 1000;
const MS_PER_MINUTE = 60 * MS_PER_SECOND;
const MS_PER_HOUR = 60 * MS_PER_MINUTE;
const MS_PER_DAY = 24 * MS_PER_HOUR;

/** Where the time lives among the CMOS bytes; the PS/2 century is an alias of CMOS_CENTURY. */
export const TIME_REGISTERS: ReadonlySet<number> = new Set([
  abi.RTC_SECONDS,
  abi.RTC_MINUTES,
  abi.RTC_HOURS,
  abi.RTC_DAY_OF_WEEK,
  abi.RTC_DAY_OF_MONTH,
  abi.RTC_MONTH,
  abi.RTC_YEAR,
  abi.CMOS_CENTURY,
]);

/** One byte of the time `ms` as register `index` shows it in the format of `regB`. */
export function timeRegister(ms: number, index: number, regB: number): number {
  const date = new Date(ms);
  switch (index) {
    case abi.RTC_SECONDS:
      return encode(date.getUTCSeconds(), regB);
    case abi.RTC_MINUTES:
      return encode(date.getUTCMinutes(), regB);
    case abi.RTC_HOURS:
      return encodeHour(date.getUTCHours(), regB);
    case abi.RTC_DAY_OF_WEEK:
      return encode(date.getUTCDay() + 1, regB);
    case abi.RTC_DAY_OF_MONTH:
      return encode(date.getUTCDate(), regB);
    case abi.RTC_MONTH:
      return encode(date.getUTCMonth() + 1, regB);
    case abi.RTC_YEAR:
      return encode(date.getUTCFullYear() % 100, regB);
    case abi.CMOS_CENTURY: // a RAM byte by origin: BCD whatever register B says
      return toBcd(Math.floor(date.getUTCFullYear() / 100) % 100);
    default:
      return 0xff;
  }
}

/**
 * The time that the bytes mean. What is not a date (31 February) counts on into the next month; always
 * finite.
 */
export function timeFromRegisters(bytes: Uint8Array, regB: number): number {
  const at = (index: number): number => decode(bytes[index] ?? 0, regB);
  const hourByte = bytes[abi.RTC_HOURS] ?? 0;
  let hour = decode(hourByte, regB);
  if ((regB & abi.RTC_24H) === 0) {
    hour = (decode(hourByte & ~abi.RTC_HOURS_PM, regB) % 12) + ((hourByte & abi.RTC_HOURS_PM) === 0 ? 0 : 12);
  }
  const century = fromBcd(bytes[abi.CMOS_CENTURY] ?? 0);
  // A guest that knows of no century leaves what was there; nonsense there means this one.
  const year = (century >= 19 && century <= 99 ? century : 20) * 100 + at(abi.RTC_YEAR);
  return Date.UTC(
    year,
    at(abi.RTC_MONTH) - 1,
    at(abi.RTC_DAY_OF_MONTH),
    hour,
    at(abi.RTC_MINUTES),
    at(abi.RTC_SECONDS),
  );
}

/**
 * When the alarm bytes match next, strictly after `afterMs`; undefined when they never do. Skips whole hours
 * and minutes that cannot match, so it looks at less than 150 moments.
 */
export function nextAlarmMs(afterMs: number, bytes: Uint8Array, regB: number): number | undefined {
  // Bytes that are not a time of day would be looked for through every second of the day.
  const isTime = (alarm: number | undefined): boolean =>
    Array.from({ length: 60 }, (_, value) => encode(value, regB)).some((it) => matches(alarm, it));
  if (!isTime(bytes[abi.RTC_SECONDS_ALARM]) || !isTime(bytes[abi.RTC_MINUTES_ALARM])) return undefined;
  let ms = (Math.floor(afterMs / MS_PER_SECOND) + 1) * MS_PER_SECOND;
  const end = ms + MS_PER_DAY;
  while (ms < end) {
    if (!matches(bytes[abi.RTC_HOURS_ALARM], timeRegister(ms, abi.RTC_HOURS, regB)))
      ms = nextMultiple(ms, MS_PER_HOUR);
    else if (!matches(bytes[abi.RTC_MINUTES_ALARM], timeRegister(ms, abi.RTC_MINUTES, regB))) {
      ms = nextMultiple(ms, MS_PER_MINUTE);
    } else if (!matches(bytes[abi.RTC_SECONDS_ALARM], timeRegister(ms, abi.RTC_SECONDS, regB)))
      ms += MS_PER_SECOND;
    else return ms;
  }
  return undefined;
}

export function toBcd(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}

export function fromBcd(byte: number): number {
  return (byte >> 4) * 10 + (byte & 0x0f);
}

function encode(value: number, regB: number): number {
  return (regB & abi.RTC_DM_BINARY) === 0 ? toBcd(value) : value;
}

function decode(byte: number, regB: number): number {
  return (regB & abi.RTC_DM_BINARY) === 0 ? fromBcd(byte) : byte;
}

function encodeHour(hour: number, regB: number): number {
  if ((regB & abi.RTC_24H) !== 0) return encode(hour, regB);
  return encode(hour % 12 === 0 ? 12 : hour % 12, regB) | (hour >= 12 ? abi.RTC_HOURS_PM : 0);
}

function matches(alarm = 0, current: number): boolean {
  return (alarm & abi.RTC_ALARM_DONT_CARE) === abi.RTC_ALARM_DONT_CARE || alarm === current;
}

function nextMultiple(ms: number, unit: number): number {
  return (Math.floor(ms / unit) + 1) * unit;
}
