import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { bundled } from '../../scripts/bundle.ts';

/** Far more than the 64 KiB that a pipe takes. */
const MANY_BYTES = 3_000_000;
const WRITES_MUCH = `standardOutput.write('x'.repeat(${MANY_BYTES})); await endProcess(7);`;

type Child = ChildProcessByStdio<null, Readable | null, Readable>;

/** A process that runs `code` with the exports of output.ts. */
function start(code: string, stdout: 'pipe' | number, prefix: readonly string[] = []): Child {
  const module = JSON.stringify(bundled('vmm-core/client/output.ts'));
  const program = `const { endProcess, standardError, standardOutput } = require(${module});
    void (async () => { ${code} })();`;
  const [command = '', ...args] = [...prefix, process.execPath, '-e', program];
  return spawn(command, args, { stdio: ['ignore', stdout, 'pipe'] }) as Child;
}

async function end(child: Child): Promise<{ code: number | null; stderr: string }> {
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr: Buffer.concat(errors).toString() };
}

function openForWriting(t: TestContext, file: string): number {
  const fd = openSync(file, 'w');
  t.after(() => closeSync(fd));
  return fd;
}

test('a reader that comes late gets everything that was written before the end', async () => {
  const child = start(`process.stderr.write('written'); ${WRITES_MUCH}`, 'pipe');
  await once(child.stderr, 'data'); // only then is the first byte read
  let bytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => (bytes += chunk.length));
  assert.equal((await end(child)).code, 7);
  assert.equal(bytes, MANY_BYTES);
});

test('standard error is waited for as well', async () => {
  const child = start(`standardError.write('x'.repeat(${MANY_BYTES})); await endProcess(1);`, 'pipe');
  child.stdout?.resume();
  const { code, stderr } = await end(child);
  assert.deepEqual([code, stderr.length], [1, MANY_BYTES]);
});

test('a writer is told when its reader is behind, and when it has caught up', async () => {
  const child = start(
    `const goOn = standardOutput.write('x'.repeat(${MANY_BYTES}));
     standardError.write(goOn + ' ' + (standardOutput.pendingBytes > 0) + '\\n');
     await standardOutput.drained();
     standardError.write(standardOutput.pendingBytes + '\\n');
     await endProcess(0);`,
    'pipe',
  );
  await once(child.stderr, 'readable');
  child.stdout?.resume();
  assert.equal((await end(child)).stderr, 'false true\n0\n');
});

test('a reader that leaves ends the command without a word', async () => {
  const child = start(WRITES_MUCH, 'pipe');
  child.stdout?.destroy();
  assert.deepEqual(await end(child), { code: 141, stderr: '' });
});

test('a full disk is an error in one sentence', async (t) => {
  const child = start(WRITES_MUCH, openForWriting(t, '/dev/full'));
  const stderr = 'vmm: cannot write to standard output: no space left on device (ENOSPC)\n';
  assert.deepEqual(await end(child), { code: 1, stderr });
});

test('a file that takes only a part gets that part, and the rest is an error', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'output-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'out');
  // 16 blocks of 512 or 1024 bytes; without SIGXFSZ a write beyond fails.
  const limited = ['sh', '-c', 'ulimit -f 16; trap "" XFSZ; exec "$@"', 'sh'];
  const { code, stderr } = await end(start(WRITES_MUCH, openForWriting(t, file), limited));
  assert.deepEqual([code, stderr], [1, 'vmm: cannot write to standard output: file too large (EFBIG)\n']);
  assert.ok(statSync(file).size >= 8192);
  assert.equal(/[^x]/.exec(readFileSync(file, 'utf8')), null);
});
