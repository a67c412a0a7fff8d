import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, Bytes as ByteAssembler, mutate, seededRandom } from '../../test/support/bytes.ts';
import {
  baseType,
  type BuiltDie,
  DwarfBuilder,
  buildLineProgram,
  die,
} from '../../test/support/dwarfBuilder.ts';
import { buildElf } from '../../test/support/dwarfBuilderElf.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { DW_AT, DW_ATE, DW_FORM, DW_INL, DW_LANG, DW_TAG } from '../dwarf/constants.ts';
import { DW_OP } from '../dwarf/operators.ts';
import { DW_LNE, DW_LNS } from '../dwarf/sectionConstants.ts';
import { QueryError } from './base/queryError.ts';
import type { FrameContext } from './frames/frameContext.ts';
import { openSymbolImage } from './openSymbolImage.ts';
import type { SymbolImage, SymbolImageOptions } from './symbolImage.ts';
import type { Assignment } from './values/value.ts';

/*
 * The program of these tests, in a kernel's address range:
 *   main   [T, T+0x40)       /src/main.c lines 10 to 13, prologue until T+4
 *     helper inlined at [T+0x10, T+0x20), called on line 12; its code is on line 5 of /src/inc/help.h
 *   asm_entry [T+0x40, T+0x50) a symbol without DWARF asm_data at D+0x20, an int that main.c only declares
 *   counter at D, an int; p at D+8, a struct pair *; pair is { int first; unsigned flag : 1, rest : 7; char
 *   name[4]; }
 */
const T = 0xffffffff81000000n;
const D = 0xffffffff82000000n;

test('an address is known by its function, line, symbol and inline chain', () => {
  const image = open();
  assert.deepEqual(image.problems(), []);
  const row = image.lineAt(T + 0x12n);
  assert.equal(`${row?.file}:${row?.line}:${row?.column}`, '/src/inc/help.h:5:3');
  assert.deepEqual(row?.range, { start: T + 0x10n, end: T + 0x20n });
  assert.deepEqual(image.functionAt(T + 0x12n), {
    name: 'main',
    start: T,
    end: T + 0x40n,
    file: '/src/main.c',
    line: 10,
  });
  assert.deepEqual(image.symbolAt(T + 0x12n), { name: 'main', offset: 0x12n });
  assert.deepEqual(
    image
      .inlineChainAt(T + 0x12n)
      .map(({ function: name, file, line, inlined }) => [name, file, line, inlined]),
    [
      ['helper', '/src/inc/help.h', 5, true],
      ['main', '/src/main.c', 12, false],
    ],
  );
});

test("code without DWARF is known by its symbol, up to the symbol's size", () => {
  const image = open();
  assert.deepEqual(image.functionAt(T + 0x48n), { name: 'asm_entry', start: T + 0x40n, end: T + 0x50n });
  assert.equal(image.lineAt(T + 0x48n), undefined);
  assert.equal(image.symbolAt(T + 0x58n), undefined, 'past the end of the sized symbol');
  assert.deepEqual(image.inlineChainAt(T + 0x100000n), []);
});

test('a line has one address for each function and inlined copy, after the prologue', () => {
  const image = open();
  const at = (file: string, line: number): string[] =>
    image
      .addressesOf(file, line)
      .map((one) => `+${(one.address - T).toString(16)} line ${one.line} ${one.function}`);
  assert.deepEqual(at('main.c', 10), ['+4 line 10 main']);
  assert.deepEqual(at('/src/main.c', 12), ['+8 line 12 main']);
  assert.deepEqual(
    at('/home/me/src/inc/help.h', 5),
    ['+10 line 5 helper'],
    'two path components in common are enough',
  );
  assert.deepEqual(at('inc/help.h', 1), ['+10 line 5 helper'], 'the nearest following line with code');
  assert.deepEqual(at('other/main.c', 10), []);
  assert.deepEqual(at('main.c', 99), []);
  assert.deepEqual(image.breakpointLines('main.c', 11, 13), [
    { line: 12, columns: [0] },
    { line: 13, columns: [0] },
  ]);
});

test('functions are found by name, clones of the compiler too', () => {
  const image = open();
  assert.deepEqual(image.functionByName('main'), [
    { name: 'main', start: T, address: T + 4n, file: '/src/main.c', line: 10 },
  ]);
  assert.equal(image.functionByName('asm_entry')[0]?.start, T + 0x40n);
  assert.deepEqual(image.functionByName('nothing'), []);
  assert.deepEqual(image.functionsMatching(/^asm/), ['asm_entry', 'asm_entry.cold', 'asm_entry.isra.0']);
  assert.equal(image.functionByName('asm_entry').length, 2);
});

test('stepping by line stays inside the statement and the function', () => {
  const image = open();
  assert.deepEqual(image.statementRange(T + 5n), { start: T, end: T + 8n }, 'two rows of line 10');
  assert.deepEqual(image.statementRange(T + 0x30n), { start: T + 0x20n, end: T + 0x40n });
  assert.equal(image.prologueEnd(T), T + 4n);
  assert.equal(image.isInPrologue(T + 3n), true);
  assert.equal(image.isInPrologue(T + 4n), false);
});

test('what is only declared has its type from the declaration and its place from the symbol table', async () => {
  const image = open();
  const { memory } = frameAt(T);
  const anywhere = { registers: new Map<string, bigint>(), memory };
  assert.equal(await (await image.evaluate('asm_data + 1', anywhere)).display(), '8');
  assert.equal((await image.evaluate('&asm_data', anywhere)).typeName, 'int *');
});

test('a load bias moves every answer', () => {
  const image = open({ loadBias: 0x200000n });
  assert.equal(image.lineAt(T + 0x200012n)?.line, 5);
  assert.equal(image.lineAt(T + 0x12n), undefined);
  assert.equal(image.functionByName('main')[0]?.start, T + 0x200000n);
  assert.equal(image.addressesOf('main.c', 12)[0]?.address, T + 0x200008n);
  assert.deepEqual(image.symbolByName('counter'), { address: D + 0x200000n, sizeBytes: 4 });
});

test('variables and expressions read registers and memory of the frame', async () => {
  const image = open();
  const frame = frameAt(T + 0x22n);
  const locals = await image.localsAt(frame);
  assert.deepEqual(
    await Promise.all(
      locals.map(async ({ name, value, isParameter }) => [
        name,
        isParameter,
        value.typeName,
        await value.display(),
      ]),
    ),
    [
      ['argc', true, 'int', '3'],
      ['gone', false, 'int', '<optimized out>'],
    ],
  );
  const evaluated = async (text: string): Promise<string> => (await image.evaluate(text, frame)).display();
  assert.equal(await evaluated('argc * 2 + counter'), '48');
  assert.equal(await evaluated('p->first'), '7');
  assert.equal(await evaluated('*p'), '{first = 7, flag = 1, rest = 64, name = "hey"}');
  assert.equal(await evaluated('&p->name[1]'), `0x${(D + 0x27n).toString(16)} "ey"`);
  assert.equal(await evaluated('sizeof(struct pair)'), '12');
  assert.equal(await evaluated('(unsigned char)$rdi'), "3 '\\003'");
  assert.equal(await evaluated('$edi == argc && p != 0'), '1');
  assert.equal(await evaluated('main.c::counter'), '42');
  assert.equal(await evaluated('main'), `{int (int)} 0x${T.toString(16)} <main>`);
  assert.equal(await (await image.evaluate('counter', frame)).display('x'), '0x2a');
});

test('what has no value says why: not saved, unreadable, optimized out', async () => {
  const image = open();
  const frame = frameAt(T + 0x22n);
  const caller: FrameContext = {
    registers: new Map([...frame.registers].filter(([name]) => name !== 'rdi' && name !== 'rbx')),
    memory: { read: async () => undefined },
  };
  const evaluated = async (text: string): Promise<string> => (await image.evaluate(text, caller)).display();
  assert.equal(await evaluated('argc'), '<not saved>');
  assert.equal(await evaluated('$rbx'), '<not saved>');
  assert.equal(await evaluated('$dil'), '<not saved>');
  assert.equal(await evaluated('rbx'), '<not saved>', 'a name that only registers have');
  assert.equal(await evaluated('gone'), '<optimized out>');
  assert.equal(await evaluated('counter'), `<cannot read memory at 0x${D.toString(16)}>`);
  await assert.rejects(evaluated('argc + 1'), /not saved/);
  await assert.rejects(evaluated('$rbx + 1'), /not saved/);
  await assert.rejects(evaluated('counter + 1'), /cannot read memory at 0x/);
  await assert.rejects(evaluated('$nothing'), /no register \$nothing/);
  await assert.rejects(
    (await image.compile('argc = 1', caller)).assignment(caller),
    /cannot be set: not saved/,
  );
});

test('sums of thousands of terms are computed, and others are served meanwhile', async () => {
  const image = open();
  const frame = frameAt(T + 0x22n);
  let served = 0;
  const timer = setInterval(() => served++, 0);
  const sum = await image.evaluate(`counter${'+1'.repeat(5000)}`, frame);
  clearInterval(timer);
  assert.equal(await sum.display(), '5042');
  assert.ok(served > 0);
  assert.equal(await (await image.evaluate(`0${'||0'.repeat(5000)}||1`, frame)).display(), '1');
  assert.equal(await (await image.evaluate(`1${'&&argc'.repeat(5000)}`, frame)).display(), '1');
  // What follows the answer is not evaluated, as in C.
  assert.equal(await (await image.evaluate('0 && *(int *)0 || 1 || *(int *)0', frame)).display(), '1');
});

test('assignments say what to write: memory, bit-fields, registers', async () => {
  const image = open();
  const frame = frameAt(T + 0x22n);
  const assigned = async (text: string): Promise<Assignment> =>
    (await image.compile(text, frame)).assignment(frame);
  assert.deepEqual(await assigned('counter = argc + 1'), {
    kind: 'memory',
    address: D,
    bytes: Uint8Array.of(4, 0, 0, 0),
  });
  assert.deepEqual(await assigned('p->rest = 3'), {
    kind: 'memory',
    address: D + 0x24n,
    bytes: Uint8Array.of(0x07),
  });
  assert.deepEqual(await assigned('argc = -1'), {
    kind: 'register',
    register: 'rdi',
    value: 0x1111_1111_ffff_ffffn,
  });
  assert.deepEqual(await (await image.evaluate('p->name[0]', frame)).assign("'H'"), {
    kind: 'memory',
    address: D + 0x26n,
    bytes: Uint8Array.of(0x48),
  });
  await assert.rejects(assigned('argc = gone'), /optimized out/);
  await assert.rejects(
    (await image.evaluate('counter', frame)).assign('five'),
    /not a value of type int: five/,
  );
  await assert.rejects(
    (await image.evaluate('counter', frame)).assign('0x100000000'),
    /does not fit 32 bits/,
  );
});

test('an expression is parsed once for many frames, also before anything runs', async () => {
  const image = open();
  const condition = await image.compileAt('argc > 2 && p->first == 7', T + 0x22n);
  assert.equal(condition.assigns, false);
  assert.equal(await (await condition.evaluate(frameAt(T + 0x22n))).display(), '1');
  const other = frameAt(T + 0x22n);
  const registers = new Map([...other.registers, ['rdi', 2n]]);
  assert.equal(await (await condition.evaluate({ ...other, registers })).display(), '0');
  await assert.rejects(condition.assignment(other), /there is no assignment/);

  const step = await image.compile('counter += argc', other);
  assert.equal(step.assigns, true);
  assert.equal(await (await step.place(other)).display(), '42');
  await assert.rejects(step.evaluate(other), /assignment is not allowed/);
  assert.deepEqual(await step.assignment(other), {
    kind: 'memory',
    address: D,
    bytes: Uint8Array.of(45, 0, 0, 0),
  });
  await assert.rejects(image.compileAt('argc >', T + 0x22n), (error: unknown) => {
    assert.ok(error instanceof QueryError);
    return error.column === 7;
  });
});

test('text is compared and set as text', async () => {
  const image = open();
  const frame = frameAt(T + 0x22n);
  assert.equal(await (await image.evaluate('p->name == "hey"', frame)).display(), '1');
  assert.equal(await (await image.evaluate('p->name != "hello"', frame)).display(), '1');
  await assert.rejects(image.evaluate('counter == "x"', frame), /only text can be compared/);
  const set = await image.compile('p->name = "hi"', frame);
  assert.deepEqual(await set.assignment(frame), {
    kind: 'memory',
    address: D + 0x26n,
    bytes: Uint8Array.of(0x68, 0x69, 0),
  });
  await assert.rejects(
    (await image.compile('p->name = "much too long"', frame)).assignment(frame),
    /room for/,
  );
});

test('mistakes in expressions point at their column', async () => {
  const image = open();
  const column = async (text: string): Promise<string> => {
    try {
      await image.evaluate(text, frameAt(T + 0x22n));
    } catch (error) {
      assert.ok(error instanceof QueryError, String(error));
      return `${error.column}: ${error.message}`;
    }
    return 'no error';
  };
  assert.equal(await column('argc + nothing'), '8: no symbol "nothing" in the current context');
  assert.equal(await column('argc +'), '7: the expression ends, a value is missing');
  assert.equal(await column('argc ) 1'), '6: unexpected )');
  assert.equal(await column('p->second'), '2: struct pair has no member named second');
  assert.equal(await column('1 / (argc - 3)'), '3: division by zero');
  assert.equal(await column('*argc->x'), '6: int has no members');
  assert.equal(await column('$zax'), '1: no register $zax');
  assert.equal(await column('counter = 1'), '9: an assignment is not allowed here');
  assert.equal(await column('1 # 2'), '3: unexpected character: #');
  assert.equal(await column('(struct nothing *)p'), '2: no type named struct nothing');
  assert.match(await column('('.repeat(1000)), /expression too deeply nested: 256 levels/);
});

test('an image without any debug information still has its symbols', () => {
  const image = openSymbolImage(bytesSource('stripped', elfOf(new Map())));
  assert.equal(image.hasLines, false);
  assert.deepEqual(image.files(), []);
  assert.deepEqual(image.addressesOf('main.c', 1), []);
  assert.equal(image.functionAt(T + 1n)?.name, 'main');
});

test('broken debug information answers as if it were missing, and says so', async () => {
  const random = seededRandom(6);
  const seed = program().sections();
  let withProblems = 0;
  for (let round = 0; round < 200; round++) {
    const sections = new Map(seed);
    const names = [...sections.keys()];
    const name = names[Math.floor(random() * names.length)] as string;
    sections.set(name, mutate(sections.get(name) as Uint8Array, random));
    const image = openSymbolImage(bytesSource('broken', elfOf(sections)));
    for (const address of [T, T + 0x12n, T + 0x22n]) {
      image.lineAt(address);
      image.inlineChainAt(address);
      image.statementRange(address);
      await image.unwindFrame(frameAt(address));
    }
    image.files();
    image.addressesOf('main.c', 12);
    image.functionByName('main');
    await Promise.all((await image.localsAt(frameAt(T + 0x22n))).map(({ value }) => value.display()));
    await image.evaluate('*p', frameAt(T + 0x22n)).then(
      (value) => value.display(),
      (error: unknown) => assert.ok(error instanceof QueryError, `round ${round}: ${String(error)}`),
    );
    if (image.problems().length > 0) withProblems++;
  }
  assert.ok(withProblems > 50, `${withProblems} of 200 noticed`);
});

function open(options: SymbolImageOptions = {}): SymbolImage {
  return openSymbolImage(bytesSource('test', elfOf(program().sections())), options);
}

function frameAt(pc: bigint): FrameContext {
  const data = new ByteAssembler()
    .u32(42)
    .align(8)
    .u64(D + 0x20n)
    .padTo(0x20)
    .u32(7)
    .u8(0x81, 0)
    .cstring('hey')
    .padTo(0x400)
    .done();
  return {
    registers: new Map([
      ['rip', pc],
      ['rsp', 0x7000n],
      ['rdi', 0x1111_1111_0000_0003n],
    ]),
    memory: {
      read: async (address, lengthBytes) => {
        const at = Number(address - D);
        return at >= 0 && at + lengthBytes <= data.length ? data.slice(at, at + lengthBytes) : undefined;
      },
    },
  };
}

function elfOf(sections: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const symbols = new ByteAssembler().padTo(24);
  const names = new ByteAssembler().u8(0);
  const symbol = (name: string, value: bigint, size: number, type: number, section: number): void => {
    symbols
      .u32(names.length)
      .u8(0x10 | type, 0)
      .u16(section)
      .u64(value, size);
    names.cstring(name);
  };
  symbol('main', T, 0x40, 2, 1);
  symbol('asm_entry', T + 0x40n, 0x10, 2, 1);
  symbol('asm_entry.isra.0', T + 0x60n, 0x10, 2, 1);
  symbol('asm_entry.cold', T + 0x70n, 0x10, 2, 1);
  symbol('counter', D, 4, 1, 2);
  symbol('asm_data', D + 0x20n, 4, 1, 2);
  return buildElf({
    sections: [
      { name: '.text', flags: 6, address: T, bytes: new Uint8Array(0x80) },
      { name: '.data', flags: 3, address: D, bytes: new Uint8Array(0x40) },
      { name: '.symtab', type: 2, bytes: symbols.done(), link: 4, entrySizeBytes: 24 },
      { name: '.strtab', type: 3, bytes: names.done() },
      ...[...sections].map(([name, bytes]) => ({ name, bytes })),
    ],
  });
}

function program(): DwarfBuilder {
  const builder = new DwarfBuilder();
  builder.unit(
    die(
      DW_TAG.compile_unit,
      [
        [DW_AT.name, DW_FORM.strp, 'main.c'],
        [DW_AT.comp_dir, DW_FORM.strp, '/src'],
        [DW_AT.language, DW_FORM.data2, DW_LANG.C11],
        [DW_AT.low_pc, DW_FORM.addr, T],
        [DW_AT.high_pc, DW_FORM.data4, 0x40],
        [DW_AT.stmt_list, DW_FORM.sec_offset, 0],
      ],
      [...types(), ...code()],
    ),
  );
  return builder.section('.debug_line', lines());
}

function types(): BuiltDie[] {
  const member = (name: string, type: string, offset: number): BuiltDie =>
    die(DW_TAG.member, [
      [DW_AT.name, DW_FORM.string, name],
      [DW_AT.type, DW_FORM.ref4, { label: type }],
      [DW_AT.data_member_location, DW_FORM.data1, offset],
    ]);
  const bitField = (name: string, offset: number, size: number): BuiltDie =>
    die(DW_TAG.member, [
      [DW_AT.name, DW_FORM.string, name],
      [DW_AT.type, DW_FORM.ref4, { label: 'unsigned int' }],
      [DW_AT.data_bit_offset, DW_FORM.data1, offset],
      [DW_AT.bit_size, DW_FORM.data1, size],
    ]);
  return [
    baseType('int', DW_ATE.signed, 4),
    baseType('unsigned int', DW_ATE.unsigned, 4),
    baseType('char', DW_ATE.signed_char, 1),
    die(
      DW_TAG.array_type,
      [[DW_AT.type, DW_FORM.ref4, { label: 'char' }]],
      [die(DW_TAG.subrange_type, [[DW_AT.upper_bound, DW_FORM.data1, 3]])],
      'char[4]',
    ),
    die(
      DW_TAG.structure_type,
      [
        [DW_AT.name, DW_FORM.string, 'pair'],
        [DW_AT.byte_size, DW_FORM.data1, 12],
      ],
      [
        member('first', 'int', 0),
        bitField('flag', 32, 1),
        bitField('rest', 33, 7),
        member('name', 'char[4]', 6),
      ],
      'pair',
    ),
    die(DW_TAG.pointer_type, [[DW_AT.type, DW_FORM.ref4, { label: 'pair' }]], undefined, 'pair *'),
  ];
}

function code(): BuiltDie[] {
  const at = (address: bigint): Uint8Array => new ByteAssembler().u8(DW_OP.addr).u64(address).done();
  const variable = (
    name: string,
    type: string,
    location?: Uint8Array,
    tag: number = DW_TAG.variable,
  ): BuiltDie =>
    die(tag, [
      [DW_AT.name, DW_FORM.string, name],
      [DW_AT.type, DW_FORM.ref4, { label: type }],
      ...(location === undefined ? [] : ([[DW_AT.location, DW_FORM.exprloc, location]] as const)),
    ]);
  const helper = die(
    DW_TAG.subprogram,
    [
      [DW_AT.name, DW_FORM.string, 'helper'],
      [DW_AT.inline, DW_FORM.data1, DW_INL.declared_inlined],
    ],
    [],
    'helper',
  );
  const inlined = die(DW_TAG.inlined_subroutine, [
    [DW_AT.abstract_origin, DW_FORM.ref4, { label: 'helper' }],
    [DW_AT.low_pc, DW_FORM.addr, T + 0x10n],
    [DW_AT.high_pc, DW_FORM.data1, 0x10],
    [DW_AT.call_file, DW_FORM.data1, 0],
    [DW_AT.call_line, DW_FORM.data1, 12],
  ]);
  const main = die(
    DW_TAG.subprogram,
    [
      [DW_AT.name, DW_FORM.string, 'main'],
      [DW_AT.decl_file, DW_FORM.data1, 0],
      [DW_AT.decl_line, DW_FORM.data1, 10],
      [DW_AT.prototyped, DW_FORM.flag_present, true],
      [DW_AT.type, DW_FORM.ref4, { label: 'int' }],
      [DW_AT.low_pc, DW_FORM.addr, T],
      [DW_AT.high_pc, DW_FORM.data1, 0x40],
      [DW_AT.frame_base, DW_FORM.exprloc, Uint8Array.of(DW_OP.call_frame_cfa)],
    ],
    [
      variable('argc', 'int', Uint8Array.of(DW_OP.reg0 + 5), DW_TAG.formal_parameter),
      variable('gone', 'int'),
      inlined,
    ],
  );
  const declared = die(DW_TAG.variable, [
    [DW_AT.name, DW_FORM.string, 'asm_data'],
    [DW_AT.type, DW_FORM.ref4, { label: 'int' }],
    [DW_AT.external, DW_FORM.flag_present, true],
    [DW_AT.declaration, DW_FORM.flag_present, true],
  ]);
  return [helper, main, declared, variable('counter', 'int', at(D)), variable('p', 'pair *', at(D + 8n))];
}

function lines(): Uint8Array {
  const row = (bytes: Bytes, advance: number, line: number): Bytes =>
    bytes.u8(DW_LNS.advance_pc).uleb(advance).u8(DW_LNS.advance_line).sleb(line).u8(DW_LNS.copy);
  return buildLineProgram({
    directories: ['/src', 'inc'],
    files: [
      { name: 'main.c', directory: 0 },
      { name: 'help.h', directory: 1 },
    ],
    program: (bytes) => {
      bytes.u8(DW_LNS.set_file).uleb(0).u8(0).uleb(9).u8(DW_LNE.set_address).u64(T);
      row(bytes, 0, 9); // line 10
      row(bytes.u8(DW_LNS.set_prologue_end), 4, 0);
      row(bytes, 4, 2); // line 12
      row(bytes.u8(DW_LNS.set_file).uleb(1).u8(DW_LNS.set_column).uleb(3), 8, -7); // help.h:5
      row(bytes.u8(DW_LNS.set_file).uleb(0).u8(DW_LNS.set_column).uleb(0), 0x10, 8); // line 13
      bytes.u8(DW_LNS.advance_pc).uleb(0x20).u8(0).uleb(1).u8(DW_LNE.end_sequence);
    },
  });
}
