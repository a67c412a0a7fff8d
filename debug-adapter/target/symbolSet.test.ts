import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { SymbolSet } from './symbolSet.ts';

const STEPS_ELF = path.join(import.meta.dirname, '..', '..', 'test', 'dap', 'fixtures', 'steps.elf');

function fileWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'symbols-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'kernel');
  writeFileSync(file, text);
  return file;
}

function load(paths: readonly string[]): { symbols: SymbolSet; reports: string[] } {
  const reports: string[] = [];
  const files = paths.map((it) => ({ path: it, offset: 0n }));
  return { symbols: SymbolSet.load(files, (message) => reports.push(message)), reports };
}

test('a kernel that is not an ELF file is reported, unless its symbols are in another file', async (t) => {
  const flat = fileWith(t, 'no ELF file');
  const alone = load([flat]);
  assert.equal(alone.reports.length, 1);
  assert.match(alone.reports[0] ?? '', /no symbols from .*kernel: /);
  assert.deepEqual(alone.symbols.images, []);
  const beside = load([flat, STEPS_ELF]);
  assert.deepEqual(beside.reports, []);
  assert.equal((await beside.symbols.functionsByName('kmain')).length, 1);
});

test('a symbol file that is missing is reported', () => {
  const { reports } = load([STEPS_ELF, '/nowhere/module.elf']);
  assert.equal(reports.length, 1);
  assert.match(reports[0] ?? '', /no symbols from \/nowhere\/module\.elf: ENOENT/);
});

test('a symbol file that is a link to itself is reported, and never stale', (t) => {
  const loop = path.join(path.dirname(fileWith(t, '')), 'loop.elf');
  symlinkSync('loop.elf', loop);
  const { symbols, reports } = load([STEPS_ELF, loop]);
  assert.equal(reports.length, 1);
  assert.match(reports[0] ?? '', /no symbols from .*loop\.elf: ELOOP/);
  assert.equal(symbols.isStale(), false);
});

test('addresses are shown as function or symbol and offset', () => {
  const { symbols } = load([STEPS_ELF]);
  assert.equal(symbols.everywhere.describe(0x100093n), 'kmain');
  assert.equal(symbols.everywhere.describe(0x100097n), 'kmain+0x4');
  assert.equal(symbols.everywhere.describe(0x1000f2n), 'plain+0x4');
  assert.equal(symbols.everywhere.describe(0x9999_0000n), undefined);
  assert.equal(symbols.addressByName('ticks'), 0x101008n);
});

test('a function in a stripped file and in the one with lines is found once, in the latter', async (t) => {
  const stripped = fileWith(t, '');
  try {
    execFileSync('objcopy', ['--strip-debug', STEPS_ELF, stripped]);
  } catch {
    return t.skip('objcopy is not installed');
  }
  const [alone] = await load([STEPS_ELF]).symbols.functionsByName('kmain');
  for (const files of [
    [stripped, STEPS_ELF],
    [STEPS_ELF, stripped],
  ])
    assert.deepEqual(await load(files).symbols.functionsByName('kmain'), [alone]);
  assert.equal((await load([stripped]).symbols.functionsByName('kmain'))[0]?.start, alone?.start);
});

test('an offset moves all addresses of its file', async () => {
  const symbols = SymbolSet.load([{ path: STEPS_ELF, offset: 0x1000_0000n }], assert.fail);
  assert.equal((await symbols.functionsByName('kmain'))[0]?.start, 0x1010_0093n);
  assert.equal(symbols.everywhere.lineAt(0x1010_000bn)?.row.line, 28);
});

test('a file of an address space is known under its page table, before those that are everywhere', () => {
  const program = { path: STEPS_ELF, offset: 0x1000n, addressSpace: 0x5000n };
  const symbols = SymbolSet.load([{ path: STEPS_ELF, offset: 0n }, program], assert.fail);
  assert.equal(symbols.hasSpaces, true);
  const inside = symbols.inSpace(0x8000_0000_0000_5018n); // with a PCID, and asking not to flush
  assert.equal(inside.describe(0x101093n), 'kmain');
  assert.equal(inside.describe(0x100093n), 'kmain');
  assert.equal(inside.images[0]?.loadBias, 0x1000n);
  const outside = symbols.inSpace(0x6000n);
  assert.notEqual(outside.describe(0x101093n), 'kmain');
  assert.equal(outside.describe(0x100093n), 'kmain');
  assert.equal(outside.images.length, 1);
  assert.equal(symbols.everywhere.images.length, 2);
});

test('a file that was written again is stale', (t) => {
  const file = fileWith(t, 'one');
  const { symbols } = load([file]);
  assert.equal(symbols.isStale(), false);
  utimesSync(file, 1, 1);
  assert.equal(symbols.isStale(), true);
});
