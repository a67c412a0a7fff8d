import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MULTIBOOT_AOUT_KLUDGE } from '../../vmm-core/abi/multiboot.ts';
import { findMultibootHeader } from '../../vmm-core/boot/multiboot.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { loadSegments, parseElf } from '../../vmm-core/elf/elfFile.ts';
import { loadKernel } from '../../vmm-core/machine/loadKernel.ts';
import { allocateGuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { MIB, ramRanges } from '../../vmm-core/memory/layout.ts';
import { board } from '../support/kernelImages.ts';

const FOLDER = fileURLToPath(new URL('../../samples/hello/', import.meta.url));
const prebuilt = readFileSync(join(FOLDER, 'hello.elf'));

/** The first match in the prebuilt file: the producers are strings in its debug information. */
function recorded(pattern: RegExp): string {
  return pattern.exec(prebuilt.toString('latin1'))?.[1] ?? assert.fail(`no ${pattern.source} in hello.elf`);
}

function versionOf(program: string, args: readonly string[], pattern: RegExp): string | undefined {
  return pattern.exec(spawnSync(program, args, { encoding: 'utf8' }).stdout ?? '')?.[1];
}

test('the prebuilt hello.elf is what its sources build, byte for byte', (t) => {
  const gcc = recorded(/GNU C11 (\d+\.\d+\.\d+)/);
  const assembler = recorded(/GNU AS (\d+\.\d+)/);
  const installed = versionOf('gcc', ['-dumpfullversion'], /(\d+\.\d+\.\d+)/);
  if (installed !== gcc) return t.skip(`built by gcc ${gcc}, here is ${installed ?? 'none'}`);
  const binutils = versionOf('as', ['--version'], /\) (\d+\.\d+)/);
  if (binutils !== assembler) return t.skip(`built by GNU as ${assembler}, here is ${binutils ?? 'none'}`);
  if (spawnSync('make', ['--version']).error !== undefined) return t.skip('make is not installed');

  const copy = mkdtempSync(join(tmpdir(), 'hello-'));
  t.after(() => rmSync(copy, { recursive: true }));
  for (const part of ['src', 'Makefile', 'linker.ld']) {
    cpSync(join(FOLDER, part), join(copy, part), { recursive: true });
  }
  const { status, stdout, stderr } = spawnSync('make', ['-C', copy], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.doesNotMatch(stderr, /warning/);
  const rebuilt = readFileSync(join(copy, 'hello.elf'));
  assert.ok(rebuilt.equals(prebuilt), 'hello.elf is out of date: run make in samples/hello and commit it');
});

test('hello.elf names no folder of the machine it was built on', () => {
  const paths = prebuilt.toString('latin1').match(/\/(?:home|root|work|tmp|build|usr\/src)\/[\w./-]*/g);
  assert.deepEqual(paths ?? [], []);
});

test('the addresses of its multiboot header load the same bytes as its program headers', () => {
  const header = findMultibootHeader(prebuilt);
  assert.ok(header && (header.values.flags & MULTIBOOT_AOUT_KLUDGE) !== 0);
  const { header_addr, load_addr, load_end_addr, bss_end_addr } = header.values;
  const segments = loadSegments(parseElf(bytesSource('hello.elf', prebuilt)));
  const fileOffset = header.offset - (header_addr - load_addr);
  for (const { physicalAddress, offset } of segments) {
    assert.equal(Number(physicalAddress) - load_addr, offset - fileOffset);
  }
  const last = segments.at(-1) ?? assert.fail();
  assert.equal(load_end_addr, Number(last.physicalAddress) + last.fileSizeBytes);
  assert.equal(bss_end_addr, Number(last.physicalAddress) + last.memorySizeBytes);
});

test('hello.elf boots by multiboot without being told', () => {
  const memory = allocateGuestMemory(ramRanges(16 * MIB));
  const kernel = bytesSource('hello.elf', prebuilt);
  const state = loadKernel({ kernel, cmdline: '', protocol: 'auto', board: board(), memory });
  assert.equal(state.protocol, 'multiboot');
  assert.equal(state.entry, parseElf(kernel).entry);
});
