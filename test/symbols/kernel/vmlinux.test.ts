/**
 * Debian's vmlinux and twenty of its modules: what gdb and readelf say about them, compared with what we say.
 * The package is fetched once and kept; without it these tests are skipped with the reason. The mirror
 * replaces it with newer ones: what must hold exactly is tested on programs that are built here
 * (matrix.test.ts), and kinds of differences once seen have tests of their own.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { seededRandom } from '../../support/bytes.ts';
import { Agreement } from '../agreement.ts';
import { Groups, compareAnswers } from '../compareAnswers.ts';
import { compareFrames } from '../compareFrames.ts';
import { missingTool, openImage, run, scratchDirectory } from '../compile.ts';
import { gdbUnavailable } from '../gdb.ts';
import { askQuestions } from '../gdbQuestions.ts';
import { ReadelfFrames } from '../readelfFrames.ts';
import { codeSections, drawAddresses } from '../sampleQuestions.ts';
import { type KernelFiles, kernelFiles } from './kernelFiles.ts';

/**
 * More than the numbers below ask for: addresses between functions, and those of assembler, leave questions
 * out.
 */
const VMLINUX = { count: 4200, windows: 160, scopeEvery: 5, typesEvery: 10, breakpointEvery: 6 };
const MODULE = { count: 130, scopeEvery: 2, typesEvery: 5, breakpointEvery: 3 };
/** Frames of vmlinux, and of each module. */
const FRAMES = { vmlinux: 1800, module: 60 };
/** Names given to `break`. */
const FUNCTIONS = ['start_kernel', 'vfs_read', 'schedule', 'kfree', 'do_sys_openat2', 'ext4_file_open'];

const groups = new Groups({ countsFunctions: false });
const frames = new Agreement('unwound frames');
const directory = scratchDirectory();
let files: KernelFiles | string = 'not fetched';

before(async () => {
  files = gdbUnavailable() ?? missingTool('readelf') ?? (await kernelFiles());
});

test('addresses, variables, types and breakpoints of vmlinux agree with gdb', async (t) => {
  if (typeof files === 'string') return t.skip(files);
  const path = files.vmlinux;
  const addresses = drawAddresses(codeSections(path), seededRandom(11), VMLINUX);
  const asked = askQuestions(path, directory, { addresses, headers: false, functions: FUNCTIONS });
  const image = openImage(path);
  await image.describeType('struct no_such_type'); // builds the index of names: gdb has types of all units at hand
  await compareAnswers(image, (await asked).answers, groups);
  assert.deepEqual(image.problems(), []);
});

test('addresses, variables, types and breakpoints of twenty modules agree with gdb', async (t) => {
  if (typeof files === 'string') return t.skip(files);
  for (const [index, path] of files.modules.entries()) {
    const addresses = drawAddresses(codeSections(path), seededRandom(100 + index), MODULE);
    const { sections, answers } = await askQuestions(path, directory, {
      addresses,
      headers: true,
      functions: [],
    });
    const image = openImage(path, { sectionAddresses: sections });
    await compareAnswers(image, answers, groups, { sections });
    assert.deepEqual(image.problems(), []);
  }
});

test('frames of vmlinux and its modules are unwound as readelf reads their tables', async (t) => {
  if (typeof files === 'string') return t.skip(files);
  const random = seededRandom(13);
  await compareFrames(
    openImage(files.vmlinux),
    readelfFrames(files.vmlinux),
    { random, count: FRAMES.vmlinux, from: 0n },
    frames,
  );
  for (const path of files.modules) {
    // readelf places every section of a module at 0: .text stays there, and only what no other section
    // reaches is compared.
    const others = codeSections(path).filter(({ name }) => name !== '.text');
    const elsewhere = others.map(({ name }, index) => [name, BigInt(index + 1) << 32n] as const);
    const image = openImage(path, { sectionAddresses: new Map([['.text', 0n], ...elsewhere]) });
    const from = BigInt(Math.max(0, ...others.map(({ sizeBytes }) => sizeBytes)));
    await compareFrames(image, readelfFrames(path), { random, count: FRAMES.module, from }, frames);
  }
});

function readelfFrames(path: string): ReadelfFrames {
  return new ReadelfFrames(run('readelf', ['--debug-dump=frames-interp', path]));
}

for (const [group, atLeast] of [
  [groups.addresses, 5000],
  [groups.scopes, 500],
  [groups.types, 200],
  [groups.breakpoints, 1000],
  [frames, 2000],
] as const) {
  test(`${group.name}: at least ${atLeast}, nearly all of them alike, and every difference reported`, (t) => {
    if (typeof files === 'string') return t.skip(files);
    t.diagnostic(group.summary);
    group.checkShare(atLeast, (difference) => t.diagnostic(difference));
  });
}
