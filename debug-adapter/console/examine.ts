/** The console's `x/NFU ADDRESS`, with gdb's letters: count, format (x d u c s i), unit (b h w g). */
import { USER_ERROR, UserError } from '../errors.ts';
import { Pace } from '../pace.ts';
import type { SessionState } from '../session/sessionState.ts';
import { hex } from '../target/vmTarget.ts';
import { disassembleAt } from '../rows/instructionRows.ts';

const UNIT_BYTES = { b: 1, h: 2, w: 4, g: 8 } as const;
const BYTES_PER_LINE = 16;
const MAX_COUNT = 4096;
const MAX_STRING_BYTES = 256;

const FORMAT = /^(\d*)(?:([xduci])?([bhwg])?|([bhwg])([xduci])|(s))$/;

export async function examineMemory(
  state: SessionState,
  cpu: number,
  format: string,
  start: bigint,
): Promise<string> {
  const match = FORMAT.exec(format);
  if (match === null)
    throw new UserError(
      USER_ERROR.expression,
      `x/${format}: write x/COUNT, a format of x d u c s i, and a unit of b h w g`,
    );
  const [, digits, first, unitAfter, unitBefore, second, string] = match;
  const count = digits === undefined || digits === '' ? 1 : Number(digits);
  if (count > MAX_COUNT)
    throw new UserError(USER_ERROR.limit, `x/${format}: at most ${MAX_COUNT} can be shown at once`);
  const letter = first ?? second ?? string ?? 'x';
  if (letter === 'i') return instructions(state, cpu, start, count);
  if (letter === 's') return text(state, cpu, start);
  const unit = (unitAfter ?? unitBefore ?? (letter === 'c' ? 'b' : 'w')) as keyof typeof UNIT_BYTES;
  return words(state, cpu, start, { count, letter, unitBytes: UNIT_BYTES[unit] });
}

async function instructions(state: SessionState, cpu: number, start: bigint, count: number): Promise<string> {
  const from = { cpu, address: start, instructionOffset: 0 };
  const lines = await disassembleAt(state, from, count, new Pace());
  return lines
    .map((it) => `${it.address} ${it.symbol === undefined ? '' : `<${it.symbol}> `}${it.instruction}`)
    .join('\n');
}

async function text(state: SessionState, cpu: number, start: bigint): Promise<string> {
  const { data } = await state.requireTarget().readMemory({ address: start, cpu }, MAX_STRING_BYTES);
  if (data.length === 0) throw new UserError(USER_ERROR.memory, `no memory at ${hex(start)}`);
  const end = data.indexOf(0);
  const string = Buffer.from(end < 0 ? data : data.subarray(0, end)).toString('latin1');
  return `${hex(start)}: ${JSON.stringify(string)}${end < 0 ? '…' : ''}`;
}

interface WordFormat {
  readonly count: number;
  readonly letter: string;
  readonly unitBytes: number;
}

async function words(state: SessionState, cpu: number, start: bigint, format: WordFormat): Promise<string> {
  const { count, unitBytes } = format;
  const { data } = await state.requireTarget().readMemory({ address: start, cpu }, count * unitBytes);
  const whole = Math.floor(data.length / unitBytes);
  if (whole === 0) throw new UserError(USER_ERROR.memory, `no memory at ${hex(start)}`);
  const perLine = BYTES_PER_LINE / unitBytes;
  const lines: string[] = [];
  for (let first = 0; first < whole; first += perLine) {
    const values: string[] = [];
    for (let i = first; i < Math.min(first + perLine, whole); i++) {
      values.push(formatWord(data.subarray(i * unitBytes, (i + 1) * unitBytes), format.letter));
    }
    lines.push(`${hex(start + BigInt(first * unitBytes))}: ${values.join(' ')}`);
  }
  if (whole < count) lines.push(`${hex(start + BigInt(whole * unitBytes))}: no memory`);
  return lines.join('\n');
}

function formatWord(bytes: Uint8Array, letter: string): string {
  const value = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  switch (letter) {
    case 'd':
      return String(BigInt.asIntN(bytes.length * 8, value));
    case 'u':
      return String(value);
    case 'c':
      return value >= 0x20n && value < 0x7fn
        ? `'${String.fromCharCode(Number(value))}'`
        : `'\\x${value.toString(16).padStart(2, '0')}'`;
    default:
      return `0x${value.toString(16).padStart(bytes.length * 2, '0')}`;
  }
}
