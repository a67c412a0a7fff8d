import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../../test/support/bytes.ts';
import { buildElf } from '../../../test/support/dwarfBuilderElf.ts';
import { bytesSource } from '../../../vmm-core/elf/byteSource.ts';
import { run } from './commandLine.ts';

const TEXT = 0xffffffff81000000n;

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs on a small kernel with symbols only: `start_kernel` of 0x40 bytes, then `vfs_read` of 0x20. */
async function sym(args: readonly string[], input: readonly string[] = []): Promise<Outcome> {
  let out = '';
  let err = '';
  const code = await run(args, {
    open(path) {
      if (path !== 'vmlinux') throw new Error(`cannot open ${path}: no such file`);
      return bytesSource(path, kernel());
    },
    decompressors: {},

    lines: async function* () {
      yield* input;
    },
    write: async (text) => void (out += text),
    writeError: (text) => (err += text),
  });
  return { code, out, err };
}

test('an address is answered with its function and symbol', async () => {
  assert.deepEqual(await sym(['vmlinux', '0xffffffff81000004']), {
    code: 0,
    out: '0xffffffff81000004 (start_kernel+0x4): start_kernel\n',
    err: '',
  });
});

test('--json answers one object for each query, errors included, and exits with 1', async () => {
  const { code, out } = await sym([
    'vmlinux',
    '--json',
    '0xffffffff81000044',
    'vfs_read',
    'nothing',
    'main.c:5',
    'expr 6 * 7',
  ]);
  assert.equal(code, 1);
  assert.deepEqual(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [
      {
        query: '0xffffffff81000044',
        address: '0xffffffff81000044',
        function: 'vfs_read',
        file: null,
        line: null,
        column: null,
        inlined: [],
        symbol: 'vfs_read',
        offset: 4,
      },
      {
        query: 'vfs_read',
        locations: [{ name: 'vfs_read', start: '0xffffffff81000040', address: '0xffffffff81000040' }],
      },
      { query: 'nothing', error: 'no function or symbol named nothing' },
      { query: 'main.c:5', error: 'no code at or after main.c:5' },
      { query: 'expr 6 * 7', type: 'int', value: '42' },
    ],
  );
});

test('text from standard input keeps its words and gains the meaning of its addresses', async () => {
  const { out, code } = await sym(
    ['vmlinux'],
    [
      'RIP: 0010:vfs_read+0x4/0x20',
      ' [<ffffffff81000010>] ? 0xdeadbeef',
      'nothing here',
      '0xffffffff81000040',
      'unknown+0x1/0x2',
    ],
  );
  assert.equal(code, 0);
  assert.deepEqual(out.trimEnd().split('\n'), [
    'RIP: 0010:vfs_read+0x4/0x20',
    ' [<ffffffff81000010 (start_kernel)>] ? 0xdeadbeef',
    'nothing here',
    '0xffffffff81000040 (vfs_read+0x0): vfs_read',
    'unknown+0x1/0x2',
  ]);
});

test('a bias says where the image was loaded', async () => {
  const { out } = await sym(['vmlinux', '--bias', '0x1000000', '0xffffffff82000004']);
  assert.equal(out, '0xffffffff82000004 (start_kernel+0x4): start_kernel\n');
});

test('functions are found by a regular expression', async () => {
  assert.equal((await sym(['vmlinux', '/_/'])).out, 'start_kernel\nvfs_read\n');
  assert.match((await sym(['vmlinux', '/(/'])).err, /not a regular expression/);
});

test('commands may come as one argument or as several', async () => {
  assert.match((await sym(['vmlinux', 'type', 'struct', 'node'])).err, /no type named struct node/);
  assert.match(
    (await sym(['vmlinux', 'unwind 0xffffffff81000004'])).err,
    /no call frame information at 0xffffffff81000004/,
  );
  assert.match(
    (await sym(['vmlinux', 'locals', 'start_kernel+4'])).err,
    /no variables are known at 0xffffffff81000004/,
  );
});

test('wrong usage and unusable files end in one clear line', async () => {
  assert.equal((await sym([])).code, 2);
  assert.match((await sym([])).err, /^usage: vmm sym FILE/);
  assert.match((await sym(['vmlinux', '--what'])).err, /^unknown option --what/);
  assert.match((await sym(['vmlinux', '--bias', 'x'])).err, /^--bias needs an address/);
  assert.deepEqual(await sym(['missing', '0x1']), {
    code: 1,
    out: '',
    err: 'vmm sym: cannot open missing: no such file\n',
  });
  assert.equal((await sym(['--help'])).code, 0);
});

function kernel(): Uint8Array {
  const symbols = new Bytes().padTo(24);
  const names = new Bytes().u8(0);
  const symbol = (name: string, value: bigint, size: number): void => {
    symbols.u32(names.length).u8(0x12, 0).u16(1).u64(value, size);
    names.cstring(name);
  };
  symbol('start_kernel', TEXT, 0x40);
  symbol('vfs_read', TEXT + 0x40n, 0x20);
  return buildElf({
    sections: [
      { name: '.text', flags: 6, address: TEXT, bytes: new Uint8Array(0x60) },
      { name: '.symtab', type: 2, bytes: symbols.done(), link: 3, entrySizeBytes: 24 },
      { name: '.strtab', type: 3, bytes: names.done() },
    ],
  });
}
