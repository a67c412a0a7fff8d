/**
 * Kinds of differences that some package of a mirror once showed: each with its right answer, whatever is
 * served today.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '../support/bytes.ts';
import { Agreement } from './agreement.ts';
import { Groups, compareAnswers } from './compareAnswers.ts';
import { compile, missingTool, openImage, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { gdbPlaces } from './gdbPlaces.ts';
import { askQuestions } from './gdbQuestions.ts';
import { codeSections, drawAddresses } from './sampleQuestions.ts';
import { sectionAt } from './showing.ts';

const directory = scratchDirectory();

test("gdb's jumps in expressions are counted from the next operator, both ways (gve.ko 6.1.0-50)", () => {
  const answer = `Symbol mask is multi-location:
  Base address 0x96cb  Range 0x96cb-0x970a: a variable in $rax
  Range 0x97e5-0x9806: a complex DWARF expression:
     0: DW_OP_breg9 0 [$r9]
     2: DW_OP_lit24
     3: DW_OP_bra 12
     6: DW_OP_lit8
     7: DW_OP_minus
     8: DW_OP_swap
     9: DW_OP_skip to 2
    12: DW_OP_drop
    13: DW_OP_stack_value

Symbol length is optimized out.
`;
  const place =
    '$r9, DW_OP_lit24, DW_OP_bra 6, DW_OP_lit8, DW_OP_minus, DW_OP_swap, DW_OP_skip -10, DW_OP_drop, DW_OP_stack_value';
  assert.deepEqual(gdbPlaces(answer, 0x97efn), [
    { name: 'mask', place },
    { name: 'length', place: 'optimized out' },
  ]);
});

test('an address of a module is given by its section, as binutils wants it (hid-zpff.ko 6.1.0-50)', () => {
  const sections = new Map([
    ['.note.gnu.build-id', 0x30n],
    ['.text', 0x70n],
    ['.init.text', 0x224n],
  ]);
  assert.deepEqual(sectionAt(sections, 0x11fn), { name: '.text', offset: 0xafn });
  assert.equal(sectionAt(sections, 0x10n), undefined);
});

for (const level of ['-O1', '-O2']) {
  test(`gcc ${level} -c: a relocatable object, placed as gdb places it, agrees with gdb`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool('gcc', 'readelf', 'addr2line');
    if (reason !== undefined) return t.skip(reason);
    const options = [level, '-g', '-c', '-ffunction-sections'];
    const object = compile('gcc', 'values.c', join(directory, `object${level}.o`), options);
    const sampling = { count: 150, scopeEvery: 2, typesEvery: 4, breakpointEvery: 3 };
    const addresses = drawAddresses(codeSections(object), seededRandom(3), sampling);
    const { sections, answers } = await askQuestions(object, directory, {
      addresses,
      headers: true,
      functions: ['main'],
    });
    const groups = new Groups();
    await compareAnswers(openImage(object, { sectionAddresses: sections }), answers, groups, { sections });
    for (const group of groups.all) group.check(1);
  });
}

test('for what is built here any difference fails, for a package too many; all are reported with commands', () => {
  const group = new Agreement('places');
  for (let count = 0; count < 400; count++) group.agree();
  group.differ('aRule', () => 'explained', []);
  group.differ(undefined, () => 'ours 1, gdb 2', ['vmm sym k 0x1', 'gdb k']);
  const told: string[] = [];
  group.checkShare(300, (difference) => told.push(difference));
  assert.deepEqual(told, [
    'differs: places: ours 1, gdb 2\n    vmm sym k 0x1\n    gdb k',
    'differs: places: aRule: explained',
  ]);
  assert.match(
    group.summary,
    /^402 places compared, 400 agree \(99\.50 %\), explained: aRule 1, unexplained: 1$/,
  );
  assert.throws(() => group.check(300), /ours 1, gdb 2/);
  assert.throws(() => group.checkShare(500), /fewer than 500/);
  for (let count = 0; count < 3; count++) group.differ(undefined, () => 'more', []);
  assert.throws(() => group.checkShare(300), /unexplained: 4/);
});
