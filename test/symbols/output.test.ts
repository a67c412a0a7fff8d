/** What `vmm sym` writes arrives whole, however slow the reader is; what cannot be written is reported. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scratchDirectory } from './compile.ts';

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const HELLO = root('samples/hello/hello.elf');
const QUERIES = 3000;
const ENTRIES = { vmm: [root('dist/vmm.js'), 'sym'], 'its bundle': [root('dist/symbols.js')] };

const directory = scratchDirectory();
const queries = join(directory, 'queries');
writeFileSync(queries, 'kernel_main\n'.repeat(QUERIES));

function sym(entry: readonly string[], stdout: 'pipe' | number): ChildProcess {
  const stdin = openSync(queries, 'r');
  try {
    return spawn(process.execPath, [...entry, HELLO, '--json'], { stdio: [stdin, stdout, 'pipe'] });
  } finally {
    closeSync(stdin);
  }
}

async function ended(child: ChildProcess): Promise<{ code: number | null; err: string }> {
  let err = '';
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, err };
}

for (const [name, entry] of Object.entries(ENTRIES)) {
  test(`${name}: a reader slower than the answers gets every line`, async () => {
    const child = sym(entry, 'pipe');
    let out = '';
    // One piece per turn of the event loop: the pipe is full most of the time.
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      child.stdout?.pause();
      setImmediate(() => child.stdout?.resume());
    });
    assert.deepEqual(await ended(child), { code: 0, err: '' });
    assert.equal(out.trimEnd().split('\n').length, QUERIES);
  });

  test(`${name}: output that cannot be written ends it with a sentence and a code`, async () => {
    const full = openSync('/dev/full', 'w');
    const { code, err } = await ended(sym(entry, full));
    closeSync(full);
    assert.equal(code, 1);
    assert.match(err, /^vmm: cannot write to standard output: .*no space left on device.*ENOSPC.*\n$/);
  });

  test(`${name}: a reader that has enough is not reported as an error`, async () => {
    const child = sym(entry, 'pipe');
    child.stdout?.once('data', () => child.stdout?.destroy());
    const { code, err } = await ended(child);
    assert.deepEqual([code, err], [128 + 13, '']);
  });
}
