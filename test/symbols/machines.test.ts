/**
 * Objects of other machines, in both byte orders: their relocations are applied, and lines, types, variables
 * and frames are read. The lines are compared with readelf's.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';

/** Bytes of `struct point`, which has an int, a short, bits and a pointer. */
const MACHINES = [
  { target: 'aarch64-linux-gnu', name: 'AArch64', pointBytes: 16, parameters: ['x0', 'x1'], cfa: 'sp' },
  { target: 'aarch64_be-linux-gnu', name: 'AArch64', pointBytes: 16, parameters: ['x0', 'x1'], cfa: 'sp' },
  { target: 'riscv64-linux-gnu', name: 'RISC-V', pointBytes: 16, parameters: ['a0', 'a1'], cfa: 'sp' },
  { target: 'armv7-linux-gnueabihf', name: 'ARM', pointBytes: 12, parameters: ['r0', 'r1'], cfa: 'sp' },
  { target: 's390x-linux-gnu', name: 's390', pointBytes: 16, parameters: ['r2', 'r3'], cfa: 'r15 + 160' },
  { target: 'powerpc64le-linux-gnu', name: 'PowerPC64', pointBytes: 16, parameters: ['r3', 'r4'], cfa: 'r1' },
  { target: 'mips64-linux-gnu', name: 'MIPS', pointBytes: 16, parameters: ['r4', 'r5'], cfa: 'r29' },
];

const directory = scratchDirectory();

for (const { target, name, pointBytes, parameters, cfa } of MACHINES) {
  for (const version of [4, 5]) {
    test(`${target}, DWARF ${version}: lines, types, variables and frames of an object`, async (t) => {
      const reason = missingTool('clang-14', 'readelf');
      if (reason !== undefined) return t.skip(reason);
      const options = ['-target', target, '-O1', '-g', `-gdwarf-${version}`, '-c'];
      const object = compile('clang-14', 'machines.c', join(directory, `${target}-${version}.o`), options);
      const image = openImage(object);
      assert.equal(image.machine, name);
      const work = image.functionByName('work')[0]?.start ?? assert.fail('no function');
      assert.equal(image.functionAt(work)?.name, 'work');
      assert.match((await image.describeType('struct point')) ?? '', /unsigned int more : 5;/);
      const size = await image.evaluate('sizeof(struct point)', {
        registers: new Map(),
        memory: { read: async () => undefined },
      });
      assert.equal(await size.display(), String(pointBytes));
      const places = image.describeLocals(work + 4n).filter(({ isParameter }) => isParameter);
      assert.deepEqual(
        places.map(({ location }) => location),
        parameters.map((it) => `in $${it}`),
      );
      assert.equal(image.describeFrame(work)?.cfa, cfa);
      const rows = decodedLines(object);
      assert.ok(rows.length > 8, `${rows.length} rows`);
      assert.deepEqual(
        rows.filter(([address, line]) => !hasLine(image, address, line)),
        [],
      );
      assert.deepEqual(image.problems(), []);
    });
  }
}

/**
 * Several rows may begin at one address: one of their lines is the answer. Code of line 0 belongs to the line
 * before.
 */
function hasLine(image: SymbolImage, address: bigint, lines: readonly number[]): boolean {
  return lines.includes(0) || lines.includes(image.lineAt(address)?.line ?? 0);
}

/** Address and the lines readelf has there; code of line 0 belongs to the line before. */
function decodedLines(object: string): (readonly [bigint, readonly number[]])[] {
  const found = new Map<bigint, number[]>();
  let before = 0;
  for (const line of run('readelf', ['--debug-dump=decodedline', object]).split('\n')) {
    const [, number, address] = /^\S+\s+(\d+)\s+(0x[0-9a-f]+|0)\b/.exec(line) ?? [];
    if (number === undefined || address === undefined) continue;
    before = Number(number) || before;
    found.set(BigInt(address), [...(found.get(BigInt(address)) ?? []), before]);
  }
  return [...found];
}
