/** Rust values of a running program: what they print is what their programmer wrote, whatever the release's layouts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FrameContext, SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { PROGRAMS, missingTool, openImage, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { recordStops, recordedMemory } from './live.ts';

const directory = scratchDirectory();

test('enums, strings, vectors, slices, options and tuples are shown as what they mean', async (t) => {
  const reason = gdbUnavailable() ?? missingTool('rustc');
  if (reason !== undefined) return t.skip(reason);
  const program = join(directory, 'values');
  const options = ['-g', '-C', 'relocation-model=static', '-C', 'link-arg=-no-pie'];
  execFileSync('rustc', [...options, '-o', program, join(PROGRAMS, 'values.rs')], {
    stdio: 'ignore',
    timeout: 100_000,
  });
  const image = openImage(program);
  const stops = ['total', 'main'].map((marker) => image.addressesOf('values.rs', lineOf(marker))[0]?.address);
  assert.ok(stops.every((address) => address !== undefined));
  const recorded = recordStops(program, directory, stops, [], 1 << 17);
  if (recorded.length === 0) return t.skip('gdb cannot run programs here');
  const [inTotal, inMain] = recorded.map((stop) => ({
    registers: new Map(
      Object.entries(stop.frames[0]?.registers ?? {}).map(([name, value]) => [name, BigInt(value)]),
    ),
    memory: recordedMemory(stop),
  }));
  assert.ok(inTotal && inMain);

  const total = await shown(image, inTotal);
  assert.equal(total.get('sum'), 'u64 = 6');
  assert.equal(total.get('pair'), '(u64, usize) = (6, 5)');
  assert.equal(total.get('text'), '&str = "hello"');
  assert.equal(total.get('numbers'), '&[u16] = [1, 2, 3]');

  const main = await shown(image, inMain);
  assert.match(main.get('shapes') ?? '', /= \[Circle\(1\.5\), Rect \{w: 2, h: 3\}, Unit\]$/);
  assert.match(
    main.get('holder') ?? '',
    /= Holder \{items: \[1, 2, 3\], name: "abc", maybe: None, tag: Some\(9/,
  );
  const evaluated = await image.evaluate('holder.wide', inMain);
  assert.match(await evaluated.display(), /^\(-1, 120 'x'\)$/);
  const items = await (await image.evaluate('holder.items', inMain)).children(1, 5);
  assert.deepEqual(await Promise.all(items.map(async ({ name, value }) => [name, await value.display()])), [
    ['[1]', '2'],
    ['[2]', '3'],
  ]);
  assert.deepEqual(image.problems(), []);
});

async function shown(image: SymbolImage, frame: FrameContext): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, value } of await image.localsAt(frame)) {
    if (!found.has(name)) found.set(name, `${value.typeName} = ${await value.display()}`);
  }
  return found;
}

function lineOf(marker: string): number {
  const lines = readFileSync(join(PROGRAMS, 'values.rs'), 'utf8').split('\n');
  return lines.findIndex((line) => line.endsWith(`// marker: ${marker}`)) + 1;
}
