/**
 * Bit-fields and byte orders compared with gdb: where they are, their values, and what an assignment writes.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';
import { askGdb, gdbUnavailable } from './gdb.ts';
import { answer } from './stopFrame.ts';
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';

const directory = scratchDirectory();

const VARIANTS: readonly (readonly [compiler: string, version: number])[] = [
  ...[2, 3, 4, 5].map((version) => ['gcc', version] as const),
  ...[4, 5].map((version) => ['clang-14', version] as const),
];

const OBJECTS = ['flags', 'tight', 'net'];
const PARTS = [
  ...[
    'flags.a',
    'flags.b',
    'flags.in',
    'flags.in.q',
    'flags.u2',
    'flags.wide',
    'flags.negative',
    'flags.yes',
  ],
  ...[
    'flags.colour',
    'tight.b',
    'tight.c',
    'tight.e',
    'net.x',
    'net.a',
    'net.b',
    'net.s',
    'net.s[1]',
    'net.d',
  ],
  ...[
    'net.f',
    'net.l',
    'net.neg',
    'net.c',
    'net.w',
    'net.y',
    'net.in',
    'net.in[1].k',
    'net.x + 1',
    '-net.neg',
  ],
];
const FORMATTED = [
  '/x flags',
  '/x tight',
  '/x net',
  '/d net.x',
  '/x net.neg',
  '/z flags.negative',
  '/d flags',
  '/d flags.b',
  '/z flags.b',
  '/d net.b',
  '/c net.c',
];
const ASSIGNMENTS = [
  ...['flags.a = 2', 'flags.b = 9', 'flags.in.q = -64', 'flags.in.r = 511', 'flags.u2 = 9', 'flags.wide = 5'],
  ...['flags.negative = -16', 'flags.yes = 0', 'flags.colour = GREEN', 'tight.a = 100', 'tight.b = 15'],
  ...[
    'tight.c = 77',
    'tight.d = 2',
    'tight.e = -1',
    'net.x = 7',
    'net.a = 9',
    'net.b = 1',
    'net.s[1] = 1000',
  ],
  ...['net.d = 0.1', 'net.f = -3', 'net.l = 123456789', 'net.neg = 7', 'net.w = 5', 'net.in[0].h = 1'],
  ...['net.in[1].k = 4096'],
];

interface Answers {
  readonly values: Readonly<Record<string, string>>;
  /** Address and bytes of each object before anything is set. */
  readonly memory: Readonly<Record<string, string>>;
  /** The object's bytes after each assignment to what it was before. */
  readonly written: Readonly<Record<string, string>>;
}

const SCRIPT = `
gdb.execute("break main", to_string=True)
gdb.execute("run > /dev/null", to_string=True)
inferior = gdb.selected_inferior()
def place(name):
    value = gdb.parse_and_eval(name)
    return int(value.address), value.type.sizeof
def content(name):
    return inferior.read_memory(*place(name)).tobytes()
values = {}
for e in ${JSON.stringify([...OBJECTS, ...PARTS])}: values[e] = gdb.parse_and_eval(e).format_string()
for e in ${JSON.stringify(FORMATTED)}: values[e] = gdb.execute("output" + e, to_string=True)
memory = {hex(place(name)[0]): content(name).hex() for name in ${JSON.stringify(OBJECTS)}}
written = {}
for e in ${JSON.stringify(ASSIGNMENTS)}:
    name = e.split(".")[0]
    before = content(name)
    gdb.execute("set var " + e)
    written[e] = content(name).hex()
    inferior.write_memory(place(name)[0], before)
emit({"values": values, "memory": memory, "written": written})
`;

for (const [compiler, version] of VARIANTS) {
  test(`${compiler}, DWARF ${version}: members are where gdb sees them, and are written there`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool(compiler);
    if (reason !== undefined) return t.skip(reason);
    const options = ['-no-pie', '-O0', '-g', `-gdwarf-${version}`];
    const program = compile(compiler, 'layouts.c', join(directory, `${compiler}-${version}`), options);
    const image = openImage(program);
    assert.deepEqual(await places(image), gdbPlaces(program));
    const [theirs] = askGdb<Answers>(program, directory, SCRIPT);
    if (theirs === undefined) return t.skip('gdb cannot run programs here');
    const frame = frameOver(image, theirs.memory);
    const wrong: string[] = [];
    for (const [expression, text] of Object.entries(theirs.values)) {
      const ours = (await answer(image, expression, frame)).replaceAll('"ab"', '"ab\\000"');
      if (!ours.includes('...') && ours !== text) wrong.push(`${expression}: ${ours}, gdb ${text}`);
    }
    for (const [text, after] of Object.entries(theirs.written)) {
      const ours = await written(image, text, frame, theirs.memory);
      if (ours !== after) wrong.push(`${text}: ${ours}, gdb ${after}`);
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(image.problems(), []);
  });
}

/** Places and declarations of all members, without spacing. */
async function places(image: SymbolImage): Promise<string[]> {
  const texts = await Promise.all(
    ['struct flags', 'struct tight', 'struct net'].map((name) => image.describeType(name)),
  );
  return membersOf(texts.join('\n'), /^ *\/\* +(\d+)(?:: *(\d+))? *\*\/ (.*);/);
}

function gdbPlaces(program: string): string[] {
  const asked = ['flags', 'tight', 'net'].flatMap((name) => ['-ex', `ptype/o struct ${name}`]);
  return membersOf(
    run('gdb', ['-nx', '-batch', ...asked, program]),
    /^\/\* +(?:(\d+)(?:: *(\d+))? *\|)? +\d+ \*\/ +(.*);$/,
  );
}

/** gdb leaves out the place of members of a union, and counts those in an array from its start. */
function membersOf(text: string, line: RegExp): string[] {
  return text.split('\n').flatMap((row) => {
    const [, byte, bit, declaration] = line.exec(row) ?? [];
    if (declaration === undefined || /^(?:int u1|unsigned int u2|unsigned short [hk] )/.test(declaration))
      return [];
    return [`${byte ?? ''}:${bit ?? '-'} ${declaration.replace('enum colour colour', 'colour')}`];
  });
}

function frameOver(image: SymbolImage, memory: Answers['memory']): FrameContext {
  const objects = Object.entries(memory).map(([address, hex]) => ({
    start: BigInt(address),
    bytes: Uint8Array.from(Buffer.from(hex, 'hex')),
  }));
  return {
    registers: new Map([['rip', image.functionByName('main')[0]?.address ?? 0n]]),
    memory: {
      read: async (address, lengthBytes) => {
        const found = objects.find(
          ({ start, bytes }) =>
            address >= start && address + BigInt(lengthBytes) <= start + BigInt(bytes.length),
        );
        const at = Number(address - (found?.start ?? 0n));
        return found?.bytes.slice(at, at + lengthBytes);
      },
    },
  };
}

/** The object's bytes after an assignment. */
async function written(
  image: SymbolImage,
  text: string,
  frame: FrameContext,
  memory: Answers['memory'],
): Promise<string> {
  const assignment = await (await image.compile(text, frame)).assignment(frame);
  assert.equal(assignment.kind, 'memory');
  if (assignment.kind !== 'memory') return '';
  const { address, bytes } = assignment;
  const [start, before] = Object.entries(memory).find(
    ([place, hex]) => address >= BigInt(place) && address < BigInt(place) + BigInt(hex.length / 2),
  ) ?? ['0x0', ''];
  const after = Buffer.from(before, 'hex');
  after.set(bytes, Number(address - BigInt(start)));
  return after.toString('hex');
}
