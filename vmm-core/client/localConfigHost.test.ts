import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { localConfigHost } from './localConfigHost.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tf-host-'));
after(() => rmSync(folder, { recursive: true }));
const host = localConfigHost();
const at = (name: string): string => path.join(folder, name);

test('a FIFO, a device and a directory have no text and no disk format, and are named as what they are', () => {
  execFileSync('mkfifo', [at('fifo')]);
  for (const [name, kind] of [
    [at('fifo'), 'a FIFO'],
    ['/dev/zero', 'a device'],
    [folder, 'a directory'],
  ] as const) {
    assert.equal(host.readText(name), undefined);
    assert.equal(host.whyUnreadable(name), `it is ${kind}, not a file`);
    assert.equal(host.diskFormat(name), undefined);
    assert.equal(host.kindOf(name), kind);
  }
});

test('a file beyond the limit is not read', () => {
  writeFileSync(at('large'), '');
  truncateSync(at('large'), 2 ** 40);
  assert.equal(host.readText(at('large')), undefined);
  assert.match(host.whyUnreadable(at('large')) ?? '', /larger than 16 MiB/);
});

test('a file is read, and a missing one says so', () => {
  writeFileSync(at('vm.conf'), 'vm a');
  assert.equal(host.readText(at('vm.conf')), 'vm a');
  assert.equal(host.kindOf(at('vm.conf')), 'a file');
  assert.equal(host.whyUnreadable(at('none')), 'no such file or directory (ENOENT)');
  for (const name of [at('none'), 'a\0b', at('vm.conf/x')]) assert.equal(host.kindOf(name), undefined);
});

test('a file has a size, and nothing else has', () => {
  writeFileSync(at('disk'), new Uint8Array(1536));
  assert.equal(host.sizeOf(at('disk')), 1536);
  for (const name of [folder, at('none'), '/dev/zero', 'a\0b']) assert.equal(host.sizeOf(name), undefined);
});
