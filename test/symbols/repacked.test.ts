/** 64-bit code in a 32-bit file, as `objcopy -O elf32-i386` makes it for QEMU's `-kernel`. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { SymbolSet } from '../../debug-adapter/target/symbolSet.ts';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';

const directory = scratchDirectory();
const OPTIONS = [
  '-g',
  '-O0',
  '-ffreestanding',
  '-fno-pic',
  '-nostdlib',
  '-static',
  '-no-pie',
  '-mno-red-zone',
];

function repacked(name: string, ...options: string[]): { elf64: string; elf32: string } {
  const elf64 = compile('gcc', 'repacked.c', join(directory, `${name}64.elf`), [
    ...OPTIONS,
    ...options,
    '-Wl,-Ttext=0x100000,-e,_start,--build-id=none',
  ]);
  const elf32 = join(directory, `${name}32.elf`);
  run('objcopy', ['-O', 'elf32-i386', elf64, elf32]);
  return { elf64, elf32 };
}

test('the machine is that of the debug information: registers, pointers and frames are 64 bits wide', async (t) => {
  const reason = missingTool('gcc', 'objcopy');
  if (reason !== undefined) return t.skip(reason);
  const { elf64, elf32 } = repacked('whole');
  const [whole, image] = [openImage(elf64), openImage(elf32)];
  assert.equal(image.machine, 'x86-64');
  const leaf = image.functionByName('leaf')[0]?.address ?? assert.fail('no function');
  assert.equal(leaf, whole.functionByName('leaf')[0]?.address);
  assert.deepEqual(image.describeLocals(leaf), whole.describeLocals(leaf));
  assert.deepEqual(image.describeFrame(leaf), whole.describeFrame(leaf));
  assert.equal(image.describeFrame(leaf)?.cfa, 'rbp + 16');
  const stack = new Map([
    [0x7fe8n, 42n << 32n], // local
    [0x7ff0n, 0x8010n], // the caller's frame pointer
    [0x7ff8n, whole.functionByName('_start')[0]?.address ?? 0n],
  ]);
  const frame = {
    registers: new Map([
      ['rip', leaf],
      ['rbp', 0x7ff0n],
      ['rsp', 0x7ff0n],
    ]),
    memory: {
      read: async (address: bigint, lengthBytes: number) => {
        const bytes = new Uint8Array(16);
        const view = new DataView(bytes.buffer);
        const base = address & ~7n;
        view.setBigUint64(0, stack.get(base) ?? 0n, true);
        return bytes.slice(Number(address - base), Number(address - base) + lengthBytes);
      },
    },
  };
  assert.equal(await (await image.evaluate('local', frame)).display(), '42');
  assert.equal(await (await image.evaluate('sizeof(long)', frame)).display(), '8');
  assert.equal(await (await image.evaluate('sizeof(&local)', frame)).display(), '8');
  const caller = await image.unwindFrame(frame);
  assert.equal(caller?.registers.get('rbp'), 0x8010n);
  assert.equal(caller?.cfa, 0x8000n);
  assert.deepEqual(image.problems(), []);
});

test('a 32-bit file without debug information is what its header says', (t) => {
  const reason = missingTool('gcc', 'objcopy');
  if (reason !== undefined) return t.skip(reason);
  const { elf32 } = repacked('bare', '-g0');
  assert.equal(openImage(elf32).machine, 'i386');
});

test('of two files with the same code the one that knows more answers, wherever it is listed', async (t) => {
  const reason = missingTool('gcc', 'objcopy');
  if (reason !== undefined) return t.skip(reason);
  const { elf64, elf32 } = repacked('pair');
  const stripped = join(directory, 'stripped32.elf');
  run('objcopy', ['-g', elf32, stripped]);
  const leaf = openImage(elf64).functionByName('leaf')[0]?.address ?? 0n;
  for (const [files, best] of [
    [[stripped, elf64], elf64],
    [[elf64, stripped], elf64],
    [[elf32, elf64], elf32],
  ] as const) {
    const symbols = SymbolSet.load(
      files.map((path) => ({ path, offset: 0n })),
      assert.fail,
    );
    assert.equal(symbols.everywhere.imageAt(leaf)?.path, best);
    assert.equal(symbols.inSpace(0n).imageAt(leaf)?.path, best);
    assert.equal(symbols.everywhere.imageAt(leaf)?.machine, 'x86-64');
    symbols.close();
  }
});

test('files of other code stay in their order', (t) => {
  const reason = missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  const near = compile('gcc', 'repacked.c', join(directory, 'near.elf'), [
    ...OPTIONS,
    '-g0',
    '-Wl,-Ttext=0x100000',
  ]);
  const far = compile('gcc', 'repacked.c', join(directory, 'far.elf'), [...OPTIONS, '-Wl,-Ttext=0x900000']);
  const symbols = SymbolSet.load(
    [near, far].map((path) => ({ path, offset: 0n })),
    assert.fail,
  );
  assert.deepEqual(
    symbols.everywhere.images.map(({ path }) => path),
    [near, far],
  );
  symbols.close();
});
