import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { ensurePackages } from '../../scripts/debian.ts';
import { CpioArchive } from './cpio.ts';

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly data: string;
  readonly device: readonly [number, number];
}

/** A reader written from the format's description, not from the writer. */
function read(archive: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; ;) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701', `magic at ${at}`);
    const field = (index: number): number =>
      parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + 110 + field(11);
    const name = archive.toString('utf8', at + 110, nameEnd - 1);
    const dataStart = (nameEnd + 3) & ~3;
    const data = archive.toString('utf8', dataStart, dataStart + field(6));
    if (name === 'TRAILER!!!') return entries;
    entries.push({ name, mode: field(1), data, device: [field(9), field(10)] });
    at = (dataStart + field(6) + 3) & ~3;
  }
}

describe('the cpio writer', () => {
  it('writes members that read back, with the parents they need before them', () => {
    const archive = new CpioArchive()
      .file('/bin/tool', 'five!', 0o755)
      .symlink('bin/alias', 'tool')
      .characterDevice('/dev/console', 5, 1)
      .finish();
    assert.deepEqual(read(archive), [
      { name: 'bin', mode: 0o040755, data: '', device: [0, 0] },
      { name: 'bin/tool', mode: 0o100755, data: 'five!', device: [0, 0] },
      { name: 'bin/alias', mode: 0o120777, data: 'tool', device: [0, 0] },
      { name: 'dev', mode: 0o040755, data: '', device: [0, 0] },
      { name: 'dev/console', mode: 0o020600, data: '', device: [5, 1] },
    ]);
  });

  it('pads the archive to whole blocks, so that another may follow', () => {
    for (let length = 0; length < 6; length++) {
      const archive = new CpioArchive().file('f', 'x'.repeat(length)).finish();
      assert.equal(archive.length % 512, 0);
      assert.equal(read(archive)[0]?.data, 'x'.repeat(length));
    }
  });

  it('keeps the first of two members with one name', () => {
    const entries = read(new CpioArchive().file('f', 'first').file('/f', 'second').finish());
    assert.deepEqual(
      entries.map((it) => it.data),
      ['first'],
    );
  });

  it('is understood by cpio(1)', async (t) => {
    const missing = await ensurePackages(['cpio']);
    if (missing !== undefined) return t.skip(missing);
    const archive = new CpioArchive().file('/a/b/c', 'content').symlink('/a/link', 'b/c').finish();
    const listing = execFileSync('cpio', ['-t', '--quiet'], { input: archive, encoding: 'utf8' });
    assert.deepEqual(listing.trim().split('\n'), ['a', 'a/b', 'a/b/c', 'a/link']);
  });
});
