/** `vmm fmt` as a user calls it. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { bundled } from '../../scripts/bundle.ts';

const UGLY = 'vm  a{\n memory 1G\n disable\n}';
const PRETTY = 'vm a {\n\tmemory 1G\n\tdisable\n}\n';

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function fmt(args: readonly string[], options: { prefix?: readonly string[]; input?: string } = {}): Result {
  const [command = '', ...rest] = [
    ...(options.prefix ?? []),
    process.execPath,
    bundled('vmm-core/main.ts'),
    'fmt',
    ...args,
  ];
  const { status, stdout, stderr } = spawnSync(command, rest, {
    encoding: 'latin1',
    input: options.input ?? '',
    maxBuffer: 2 ** 26,
  });
  return { code: status, out: stdout, err: stderr };
}

function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'tf-fmt-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

function file(t: TestContext, text: string): string {
  const made = path.join(folder(t), 'vm.conf');
  writeFileSync(made, text, 'latin1');
  return made;
}

/** The same VM many times, badly laid out: some 100 KB. */
function large(): string {
  return Array.from({ length: 3000 }, (_, i) => `vm "v${i}" {\nmemory 512M\nboot "/k"\n}\n`).join('');
}

describe('vmm fmt', () => {
  it('lays out in place, and --check only reports', (t) => {
    const it = file(t, UGLY);
    assert.deepEqual(fmt(['--check', it]), { code: 1, out: `${it}\n`, err: '' });
    assert.equal(fmt([it]).code, 0);
    assert.equal(readFileSync(it, 'utf8'), PRETTY);
    assert.equal(fmt(['--check', it]).code, 0);
  });

  it('leaves a file as it was, and nothing next to it, when it cannot be written', (t) => {
    const it = file(t, large());
    const before = readFileSync(it);
    const limited = ['sh', '-c', 'ulimit -f 16; trap "" XFSZ; exec "$@"', 'sh'];
    const { code, out, err } = fmt([it], { prefix: limited });
    assert.deepEqual(
      { code, out, err },
      { code: 1, out: '', err: `vmm: cannot write ${it}, it stays as it was: file too large (EFBIG)\n` },
    );
    assert.ok(readFileSync(it).equals(before));
    assert.deepEqual(readdirSync(path.dirname(it)), ['vm.conf']);
  });

  it('keeps the mode and the owner', (t) => {
    const it = file(t, UGLY);
    chmodSync(it, 0o640);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) execFileSync('chown', ['1234:4321', it]);
    assert.equal(fmt([it]).code, 0);
    const { mode, uid, gid } = statSync(it);
    assert.equal(mode & 0o7777, 0o640);
    if (isRoot) assert.deepEqual([uid, gid], [1234, 4321]);
    assert.equal(readFileSync(it, 'utf8'), PRETTY);
  });

  it('writes through a link, and keeps the link', (t) => {
    const it = file(t, UGLY);
    const link = path.join(folder(t), 'link.conf');
    symlinkSync(it, link);
    assert.equal(fmt([link]).code, 0);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.equal(readFileSync(it, 'utf8'), PRETTY);
  });

  it('does not touch a file that is laid out already', (t) => {
    const it = file(t, PRETTY);
    const before = statSync(it, { bigint: true });
    assert.equal(fmt([it]).code, 0);
    const after = statSync(it, { bigint: true });
    assert.deepEqual([after.ino, after.mtimeNs], [before.ino, before.mtimeNs]);
  });

  it('keeps the bytes of a comment that is not UTF-8', (t) => {
    const it = file(t, `# gr\xfcn\n${UGLY}`);
    assert.equal(fmt([it]).code, 0);
    assert.equal(readFileSync(it, 'latin1'), `# gr\xfcn\n${PRETTY}`);
    assert.equal(fmt(['-'], { input: `# gr\xc3\xbcn\n${UGLY}` }).out, `# gr\xc3\xbcn\n${PRETTY}`);
  });

  it('refuses what is not a file in one sentence, and goes on with the others', (t) => {
    const it = file(t, UGLY);
    const fifo = path.join(path.dirname(it), 'fifo');
    execFileSync('mkfifo', [fifo]);
    const { code, err } = fmt([fifo, '/dev/zero', `${it}.none`, it]);
    assert.equal(code, 1);
    assert.deepEqual(err.trimEnd().split('\n'), [
      `vmm: cannot read ${fifo}: "${fifo}" is a FIFO, not a file`,
      'vmm: cannot read /dev/zero: "/dev/zero" is a device, not a file',
      `vmm: cannot read ${it}.none: no such file or directory (ENOENT)`,
    ]);
    assert.equal(readFileSync(it, 'utf8'), PRETTY);
    assert.deepEqual(fmt(['-'], { prefix: ['sh', '-c', 'exec "$@" < /', 'sh'] }), {
      code: 1,
      out: '',
      err: 'vmm: standard input is a directory, not a file\n',
    });
  });

  it('gives a pipe all of a large file, and a full disk is an error', () => {
    const input = large();
    const late = fmt(['-'], {
      input,
      prefix: ['sh', '-c', '"$@" | { read line; echo "$line"; cat; }', 'sh'],
    });
    assert.equal(late.out, input.replace(/^(memory|boot)/gm, '\t$1'));
    const full = fmt(['-'], { input, prefix: ['sh', '-c', 'exec "$@" > /dev/full', 'sh'] });
    assert.deepEqual(full, {
      code: 1,
      out: '',
      err: 'vmm: cannot write to standard output: no space left on device (ENOSPC)\n',
    });
  });
});
