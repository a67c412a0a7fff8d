import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { SourcePaths } from './sourcePaths.ts';

/** A folder with the given empty files. */
function folderWith(t: TestContext, files: readonly string[]): string {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'sources-')));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const file of files) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), '');
  }
  return folder;
}

test('a recorded path that exists is itself', (t) => {
  const folder = folderWith(t, ['src/main.c']);
  assert.equal(
    new SourcePaths().toEditor(`${folder}/src/main.c`, '/elsewhere/k.elf'),
    `${folder}/src/main.c`,
  );
});

test('a recorded path that cannot be looked up is not found, and is not an error', (t) => {
  const folder = folderWith(t, ['k.elf']);
  symlinkSync('loop.c', `${folder}/loop.c`);
  const paths = new SourcePaths();
  assert.equal(paths.toEditor(`${folder}/loop.c`, `${folder}/k.elf`), undefined);
  assert.equal(paths.toEditor(`/src/${'x'.repeat(5000)}.c`, `${folder}/k.elf`), undefined);
});

test('a path of another machine is found beside the ELF or above it by its tail', (t) => {
  const folder = folderWith(t, ['kernel/main.c', 'lib/print.c', 'out/k.elf']);
  const paths = new SourcePaths();
  const elf = `${folder}/out/k.elf`;
  assert.equal(paths.toEditor('/build/job/kernel/main.c', elf), `${folder}/kernel/main.c`);
  assert.equal(paths.toEditor('lib/print.c', elf), `${folder}/lib/print.c`);
  assert.equal(paths.toEditor('../lib/print.c', elf), `${folder}/lib/print.c`);
  assert.equal(paths.toEditor('/build/job/kernel/other.c', elf), undefined);
});

test('a bare name is taken from the folder of the ELF only', (t) => {
  const folder = folderWith(t, ['main.c', 'out/k.elf', 'flat/main.c', 'flat/k.elf']);
  assert.equal(new SourcePaths().toEditor('main.c', `${folder}/out/k.elf`), undefined);
  assert.equal(new SourcePaths().toEditor('main.c', `${folder}/flat/k.elf`), `${folder}/flat/main.c`);
});

test('sourceMap comes first, its longest prefix before shorter ones, on folder borders', (t) => {
  const folder = folderWith(t, ['a/main.c', 'b/main.c']);
  const paths = new SourcePaths({ '/build': `${folder}/a`, '/build/sub/': `${folder}/b` });
  assert.equal(paths.toEditor('/build/main.c', '/k.elf'), `${folder}/a/main.c`);
  assert.equal(paths.toEditor('/build/sub/main.c', '/k.elf'), `${folder}/b/main.c`);
  assert.equal(paths.toEditor('/builder/main.c', '/k.elf'), undefined);
});

test('an editor path leads back through sourceMap, exact paths, resolved files, and the longest tail', (t) => {
  const folder = folderWith(t, ['kernel/main.c', 'k.elf']);
  const elfPath = `${folder}/k.elf`;
  const recorded = (...files: readonly string[]) => files.map((file) => ({ file, elfPath }));
  const mapped = new SourcePaths({ '/build': folder });
  assert.deepEqual(
    mapped.toRecorded(`${folder}/kernel/main.c`, recorded('/build/kernel/main.c', 'user/main.c')),
    ['/build/kernel/main.c'],
  );
  const plain = new SourcePaths();
  assert.deepEqual(plain.toRecorded('/x/main.c', recorded('/x/main.c', '/y/main.c')), ['/x/main.c']);
  assert.deepEqual(
    plain.toRecorded(`${folder}/kernel/main.c`, recorded('/far/kernel/main.c', '/far/user/main.c')),
    ['/far/kernel/main.c'],
  );
  assert.deepEqual(
    plain.toRecorded('/none/user/main.c', recorded('/far/kernel/main.c', '/far/user/main.c')),
    ['/far/user/main.c'],
  );
});

test('a bare name decides only when one file has it', () => {
  const elfPath = '/k/k.elf';
  assert.deepEqual(new SourcePaths().toRecorded('/p/main.c', [{ file: '/a/main.c', elfPath }]), [
    '/a/main.c',
  ]);
  assert.deepEqual(
    new SourcePaths().toRecorded('/p/main.c', [
      { file: '/a/main.c', elfPath },
      { file: '/b/main.c', elfPath },
    ]),
    [],
  );
  assert.deepEqual(new SourcePaths().toRecorded('/p/main.c', [{ file: '/a/main.h', elfPath }]), []);
});

test('a file whose breakpoint was found to mean it is what frames of it show', () => {
  const paths = new SourcePaths();
  paths.toRecorded('/home/me/proj/kernel/main.c', [{ file: '/far/kernel/main.c', elfPath: '/k/k.elf' }]);
  assert.equal(paths.toEditor('/far/kernel/main.c', '/k/k.elf'), '/home/me/proj/kernel/main.c');
});

test('two spellings of one file through a link are the same', (t) => {
  const folder = folderWith(t, ['real/kernel/main.c', 'real/k.elf']);
  symlinkSync(`${folder}/real`, `${folder}/link`);
  const recorded = [
    { file: 'kernel/main.c', elfPath: `${folder}/real/k.elf` },
    { file: 'other/main.c', elfPath: `${folder}/real/k.elf` },
  ];
  assert.deepEqual(new SourcePaths().toRecorded(`${folder}/link/kernel/main.c`, recorded), ['kernel/main.c']);
});
