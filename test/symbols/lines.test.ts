/**
 * Lines, functions, inline chains and breakpoints of programs compiled here, compared with gdb's answers.
 * Every disagreement must be one of those explained in EXPLAINED; anything else fails.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';
import { gdbAddresses, gdbBreakpoints, gdbUnavailable } from './gdb.ts';

/** Where we deliberately answer differently from gdb 13. */
const EXPLAINED = {
  /**
   * A line whose code is only in the cold part of a split function: gdb compares that address with the
   * prologue of the hot part, which is somewhere else, and moves the breakpoint to the function's entry. We
   * leave it at the line.
   */
  coldPart: (image: SymbolImage, ours: readonly bigint[]): boolean =>
    ours.length === 1 && image.symbolAt(ours[0] as bigint)?.name.endsWith('.cold') === true,
};

const LEVELS = ['-O0', '-O1', '-O2', '-O3'];
const SOURCES = [
  { file: 'values.c', lines: 140 },
  { file: 'inlines.h', lines: 15 },
];

const directory = scratchDirectory();

for (const compiler of ['gcc', 'clang-14']) {
  for (const dwarf of [4, 5]) {
    for (const level of LEVELS) {
      const options = [level, '-g', `-gdwarf-${dwarf}`];
      const name = `${compiler} ${options.join(' ')}`;

      test(`${name}: lines and functions of every address agree with gdb`, (t) => {
        const reason = gdbUnavailable() ?? missingTool(compiler, 'readelf');
        if (reason !== undefined) return t.skip(reason);
        const program = compile(
          compiler,
          'values.c',
          join(directory, `a${compiler}${dwarf}${level}`),
          options,
        );
        const image = openImage(program);
        const addresses = textAddresses(program);
        const answers = gdbAddresses(program, directory, addresses);
        let compared = 0;
        const wrong: string[] = [];
        addresses.forEach((address, index) => {
          const answer = answers[index];
          if (answer === undefined) throw new Error('gdb answered less than it was asked');
          const row = image.lineAt(address);
          if (answer.line === 0 && row === undefined) return;
          compared++;
          const line = `${row?.file ?? '-'}:${row?.line ?? 0}`;
          const functions = image.inlineChainAt(address).map((frame) => frame.function);
          const sameFunctions = functions.join() === answer.functions.join();
          if (sameFunctions && line === `${answer.file}:${answer.line}`) return;
          wrong.push(`0x${address.toString(16)}: ${line} ${functions.join()}, gdb ${JSON.stringify(answer)}`);
        });
        assert.deepEqual(wrong, []);
        assert.ok(compared > 500, `only ${compared} addresses compared`);
        assert.deepEqual(image.problems(), []);
      });

      test(`${name}: a breakpoint on every line goes where gdb puts it`, (t) => {
        const reason = gdbUnavailable() ?? missingTool(compiler);
        if (reason !== undefined) return t.skip(reason);
        const program = compile(
          compiler,
          'values.c',
          join(directory, `b${compiler}${dwarf}${level}`),
          options,
        );
        const image = openImage(program);
        const places = SOURCES.flatMap(({ file, lines }) =>
          Array.from({ length: lines }, (_, at) => ({ file, line: at + 1 })),
        );
        const answers = gdbBreakpoints(
          program,
          directory,
          places.map(({ file, line }) => `${file}:${line}`),
        );
        assert.equal(answers.length, places.length);
        const wrong: string[] = [];
        places.forEach(({ file, line }, index) => {
          const ours = image.addressesOf(file, line).map(({ address }) => address);
          const theirs = (answers[index] ?? []).map(({ address }) => BigInt(address));
          const agree = sorted(ours) === sorted(theirs);
          if (agree || EXPLAINED.coldPart(image, ours)) return;
          wrong.push(`${file}:${line}: ${sorted(ours)}, gdb ${sorted(theirs)}`);
        });
        assert.deepEqual(wrong, []);
      });
    }
  }
}

test('a breakpoint on a function goes where gdb puts it: after the prologue, and into every inlined copy', (t) => {
  const reason = gdbUnavailable() ?? missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  for (const level of LEVELS) {
    const program = compile('gcc', 'values.c', join(directory, `f${level}`), [level, '-g']);
    const image = openImage(program);
    const names = ['main', 'push', 'recurse', 'choose', 'sum_points', 'by_x', 'twice', 'clamp'];
    const answers = gdbBreakpoints(program, directory, names);
    names.forEach((name, index) => {
      const ours = image.functionByName(name).map(({ address }) => address);
      const theirs = (answers[index] ?? []).map(({ address }) => BigInt(address));
      assert.equal(sorted(ours), sorted(theirs), `${level} ${name}`);
    });
  }
});

function sorted(addresses: readonly bigint[]): string {
  return addresses
    .map((address) => `0x${address.toString(16)}`)
    .sort()
    .join(' ');
}

/** Every address of .text. */
function textAddresses(program: string): bigint[] {
  const match = /\.text\s+PROGBITS\s+(\w+)\s+\w+\s+(\w+)/.exec(run('readelf', ['-SW', program]));
  assert.ok(match, 'readelf shows .text');
  const start = BigInt(`0x${match[1]}`);
  return Array.from({ length: Number(`0x${match[2]}`) }, (_, at) => start + BigInt(at));
}
