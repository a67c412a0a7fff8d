/**
 * Unwinding, variables, types and expressions of running programs, compared with gdb at every line that has
 * code. Every disagreement must be one of those explained; anything else fails.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DW_ATE } from '../../debug-adapter/dwarf/constants.ts';
import { QueryError } from '../../debug-adapter/symbols/base/queryError.ts';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { strip } from '../../debug-adapter/symbols/types/type.ts';
import { DisplayedValue } from '../../debug-adapter/symbols/values/displayedValue.ts';
import {
  assertSameCode,
  compile,
  missingTool,
  openImage,
  run,
  scratchDirectory,
  twinOptions,
} from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { type LiveFrame, type LiveStop, recordStops, recordedMemory } from './live.ts';
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';

/** Must be known in a caller's frame; the others only where gdb knows them too. */
const PRESERVED = ['rbx', 'rbp', 'rsp', 'rip', 'r12', 'r13', 'r14', 'r15'];

const EXPRESSIONS = [
  ...[
    'global_counter + 1',
    '&head',
    'head.at.x * 3',
    'sizeof(struct node)',
    'ticks',
    'greeting',
    'head.flags',
    '*&head.weights',
  ],
  ...[
    'by_x',
    'head.compare',
    '(char)65',
    '-7 / 2',
    '-7 % 3',
    '1u - 2',
    'head.next ? 1 : 2',
    'GREEN',
    '(enum colour)2',
    'head.name',
  ],
  ...[
    '1.5 * 3',
    'global_counter << 3 | 1',
    '0xffffffff + 1',
    '4294967295 + 1',
    '&head.grid[1][2]',
    "'a' + 1",
    '!global_counter',
  ],
  ...[
    '~0',
    '(unsigned char)300',
    'sizeof(int *)',
    'head.grid',
    '&greeting',
    '&head.at',
    'head.number.as_float',
  ],
  ...[
    '1 ? 2 : 3',
    '5 > 3 && 2 < 1',
    '(long)-1 > 0u',
    '*greeting',
    'greeting[1]',
    '(unsigned short)-1',
    '10 - 2 - 3',
    '2 + 3 * 4',
  ],
];

/**
 * Where we may deliberately answer differently from gdb. gdb 13 gives up on the arguments of a call whose
 * target DWARF does not name (a clone); we look at the call instruction and, when it calls the function we
 * are in, use what it passed.
 */
function clonedCall(frame: LiveFrame, ours: string | undefined, theirs: string): boolean {
  return frame.name === 'recurse' && theirs === 'optimized out' && ours !== undefined && /^\d+$/.test(ours);
}

const MAX_STOPS = 60;

const directory = scratchDirectory();

const LEVELS = ['-O0', '-O1', '-O2', '-O3'];
const VARIANTS: readonly { compiler: string; options: readonly string[] }[] = [
  ...['gcc', 'clang-14'].flatMap((compiler) =>
    ['-gdwarf-4', '-gdwarf-5'].flatMap((dwarf) =>
      LEVELS.map((level) => ({ compiler, options: [level, dwarf] })),
    ),
  ),
  ...['gcc', 'clang-14'].map((compiler) => ({ compiler, options: ['-O2', '-gdwarf-5', '-gsplit-dwarf'] })),
  { compiler: 'gcc', options: ['-O2', '-gdwarf-4', '-gsplit-dwarf'] },
  { compiler: 'gcc', options: ['-O1', '-gdwarf-5', '-gz=zlib', '-fdebug-types-section'] },
];

for (const { compiler, options } of VARIANTS) {
  const name = `${compiler} ${options.join(' ')}`;
  test(`${name}: frames, variables and expressions agree with gdb`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool(compiler, 'objdump');
    if (reason !== undefined) return t.skip(reason);
    // Names of equal length: what is on the stack is then at the same addresses.
    const [own = '', other = ''] = ['p', 't'].map((it) => join(directory, it + name.replaceAll(' ', '')));
    const program = compile(compiler, 'values.c', own, ['-no-pie', '-g', ...options]);
    const image = openImage(program);
    const addresses = lineAddresses(program, image);
    const stops = recordStops(program, directory, addresses, EXPRESSIONS);
    if (stops.length === 0) return t.skip('gdb cannot run programs here');
    const tally = new Tally();
    const twin = twinOptions(options);
    if (twin !== undefined) {
      compile(compiler, 'values.c', other, ['-no-pie', '-g', ...twin]);
      assertSameCode(program, other);
      tally.twin = valuesOf(recordStops(other, directory, addresses));
    }
    for (const stop of stops) await compareStop(image, stop, tally);
    assert.deepEqual(tally.wrong.slice(0, 20), []);
    assert.ok(
      stops.length >= 20 && tally.registers > 400 && tally.variables > 200 && tally.expressions > 400,
      tally.summary,
    );
    if (options.includes('-O0')) assert.equal(tally.explained, 0);
    assert.deepEqual(image.problems(), []);
  });
}

class Tally {
  readonly wrong: string[] = [];
  /** What gdb says of the plain twin of a program, where it may lose location lists of the program itself. */
  twin: ReadonlyMap<string, string> = new Map();
  registers = 0;
  variables = 0;
  expressions = 0;
  explained = 0;

  get summary(): string {
    return `${this.registers} registers, ${this.variables} values, ${this.expressions} expressions compared`;
  }
}

/** A return address may be a stop too, where other values hold. */
function key(stop: LiveStop, { name, pc }: LiveFrame, path: string): string {
  return `${path} in ${name} at ${pc}, stopped at ${stop.frames[0]?.pc}`;
}

/** The first value of each variable at each place. */
function valuesOf(stops: readonly LiveStop[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const stop of stops) {
    for (const frame of stop.frames) {
      for (const [path, text] of Object.entries(frame.variables)) {
        const place = key(stop, frame, path);
        if (!found.has(place)) found.set(place, text);
      }
    }
  }
  return found;
}

async function compareStop(image: SymbolImage, stop: LiveStop, tally: Tally): Promise<void> {
  const memory = recordedMemory(stop);
  let frame: FrameContext = { registers: numbers(stop.frames[0]?.registers ?? {}), memory };
  let inlineDepth = inlinedAtEntry(image, stop);
  for (const [index, theirs] of stop.frames.entries()) {
    if (theirs.name?.startsWith('__') === true) return; // the C library's frames: another image
    compareRegisters(frame, theirs, tally);
    await compareVariables(image, frame, inlineDepth, { stop, theirs }, tally);
    if (index === 0) await compareExpressions(image, frame, inlineDepth, stop, tally);
    if (theirs.inlined) {
      inlineDepth++;
      continue;
    }
    inlineDepth = 0;
    const caller = await image.unwindFrame(frame);
    if (caller === undefined) {
      if (index + 1 < stop.frames.length) tally.wrong.push(`no way out of ${theirs.name} at ${theirs.pc}`);
      return;
    }
    frame = { registers: caller.registers, memory, pcIsReturnAddress: true };
  }
}

/**
 * gdb shows a stop on the first instruction of an inlined function as still being at its call: frames inside
 * are not shown yet.
 */
function inlinedAtEntry(image: SymbolImage, stop: LiveStop): number {
  const chain = image.inlineChainAt(BigInt(stop.frames[0]?.pc ?? 0));
  const shown = stop.frames.findIndex(({ inlined }) => !inlined) + 1;
  return Math.max(chain.length - shown, 0);
}

function compareRegisters(frame: FrameContext, theirs: LiveFrame, tally: Tally): void {
  for (const [name, text] of Object.entries(theirs.registers)) {
    const ours = frame.registers.get(name);
    if (ours === undefined && !PRESERVED.includes(name)) continue;
    tally.registers++;
    if (ours !== BigInt(text))
      tally.wrong.push(`$${name} in ${theirs.name} at ${theirs.pc}: ${ours}, gdb ${text}`);
  }
}

async function compareVariables(
  image: SymbolImage,
  frame: FrameContext,
  inlineDepth: number,
  { stop, theirs }: { stop: LiveStop; theirs: LiveFrame },
  tally: Tally,
): Promise<void> {
  const ours = new Map<string, string>();
  const types = new Map<string, string>();
  for (const { name, value } of await image.localsAt(frame, inlineDepth)) {
    if (types.has(name)) continue; // hidden by an inner one
    types.set(name, value.typeName.replaceAll(' ', ''));
    assert.ok(value instanceof DisplayedValue);
    await parts(name, value, ours, 0);
  }
  const gdbTypes = new Map(
    Object.entries(theirs.types).map(([name, type]) => [name, type.replaceAll(' ', '')]),
  );
  const where = `in ${theirs.name} at ${theirs.pc}`;
  for (const name of new Set([...types.keys(), ...gdbTypes.keys()])) {
    if (types.get(name) !== gdbTypes.get(name))
      tally.wrong.push(`type of ${name} ${where}: ${types.get(name)}, gdb ${gdbTypes.get(name)}`);
  }
  for (const [path, text] of Object.entries(theirs.variables)) {
    tally.variables++;
    const mine = ours.get(path);
    if (mine === text || (/[.e]/.test(text) && Number(mine) === Number(text))) continue;
    const isLost =
      text === 'optimized out' && mine !== undefined && mine === tally.twin.get(key(stop, theirs, path));
    if (isLost || clonedCall(theirs, mine, text)) tally.explained++;
    else tally.wrong.push(`${path} ${where}: ${mine}, gdb ${text}`);
  }
}

async function compareExpressions(
  image: SymbolImage,
  frame: FrameContext,
  inlineDepth: number,
  stop: LiveStop,
  tally: Tally,
): Promise<void> {
  for (const [expression, theirs] of Object.entries(stop.expressions)) {
    tally.expressions++;
    const ours = await (await image.evaluate(expression, frame, inlineDepth)).display();
    if (ours !== theirs) tally.wrong.push(`${expression}: ${ours}, gdb ${theirs}`);
  }
}

/** The scalar parts of a value by path, as live.ts has gdb write them. */
async function parts(
  path: string,
  shown: DisplayedValue,
  out: Map<string, string>,
  depth: number,
): Promise<void> {
  const value = shown.target;
  const { bare } = value;
  if (value.place.kind === 'missing') out.set(path, value.place.reason);
  else if (bare.kind === 'struct') {
    if (depth > 4) return;
    for (const child of await shown.children(0, 1e6)) {
      await parts(`${path}.${child.name}`, child.value as DisplayedValue, out, depth + 1);
    }
  } else if (bare.kind === 'array') {
    for (let index = 0; index < Math.min(bare.count ?? 0, 6); index++)
      await parts(`${path}[${index}]`, new DisplayedValue(value.element(index)), out, depth + 1);
  } else out.set(path, await scalarText(shown));
}

async function scalarText(shown: DisplayedValue): Promise<string> {
  const value = shown.target;
  const bare = strip(value.type);
  try {
    if (bare.kind === 'base' && bare.encoding === DW_ATE.float) return await shown.display();
    const bits = await value.unsigned();
    const isSignedField = value.bits !== undefined && bare.kind === 'base' && bare.encoding === DW_ATE.signed;
    if (!isSignedField || value.bits === undefined) return bits.toString();
    return BigInt.asUintN(8 * bare.sizeBytes, BigInt.asIntN(value.bits.size, bits)).toString();
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return error.message.startsWith('cannot read') ? 'unreadable' : error.message;
  }
}

function numbers(registers: Readonly<Record<string, string>>): Map<string, bigint> {
  return new Map(Object.entries(registers).map(([name, value]) => [name, BigInt(value)]));
}

/** Addresses the line table has for the program's own file. */
function lineAddresses(program: string, image: SymbolImage): bigint[] {
  const table = run('objdump', ['--dwarf=decodedline', program]);
  // objdump shows nothing of some split programs: our own statements are there in any case.
  const lines = image.breakpointLines('values.c', 1, 1000).map(({ line }) => line);
  const found = new Set(
    lines.flatMap((line) => image.addressesOf('values.c', line).map(({ address }) => address)),
  );
  assert.ok(found.size > 20, `${found.size} statements`);
  for (const match of table.matchAll(/^values\.c\s+\d+\s+(0x[0-9a-f]+)/gm)) {
    const address = BigInt(match[1] ?? 0);
    if (image.lineAt(address) !== undefined) found.add(address);
  }
  // One gdb session each: enough stops to cover every construct, few enough to wait for.
  const all = [...found];
  const step = Math.max(1, Math.ceil(all.length / MAX_STOPS));
  return all.filter((_, index) => index % step === 0);
}
