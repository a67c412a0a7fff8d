/** docs/vmm-sym.md names the fields that --json prints: no more and no fewer. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../debug-adapter/symbols/cli/commandLine.ts';
import { NODE_DECOMPRESSORS } from '../../debug-adapter/symbols/files/decompressors.ts';
import { openFileSource } from '../../vmm-core/client/fileSource.ts';
import { seededRandom } from '../support/bytes.ts';
import { missingTool, openImage, scratchDirectory } from './compile.ts';
import { generateC } from './generateProgram.ts';

const DOCUMENT = fileURLToPath(new URL('../../docs/vmm-sym.md', import.meta.url));

/** First cell of the document's table to queries whose answers have those fields, all together. */
const QUERIES: Readonly<Record<string, (address: string) => readonly string[]>> = {
  address: (address) => [address],
  function: () => ['main', 'table'],
  '`/REGEX/`': () => ['/^main$/'],
  'file and line': () => ['program.c:60'],
  '`type`': () => ['type struct record0'],
  '`locals`': (address) => [`locals ${address}`],
  '`unwind`': (address) => [`unwind ${address}`],
  '`expr`': () => ['expr 6 * 7'],
};

test('every field of --json is documented, and every documented field is printed', async (t) => {
  const reason = missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  const directory = scratchDirectory();
  const [source, program] = [join(directory, 'program.c'), join(directory, 'program')];
  writeFileSync(source, generateC(seededRandom(1)));
  execFileSync('gcc', ['-w', '-g', '-O2', '-o', program, source], { timeout: 60_000 });
  const rows = documentedFields(readFileSync(DOCUMENT, 'utf8'));
  // An address in an inlined call, so that every list has something in it.
  const image = openImage(program);
  const addresses = image.functionsMatching(/./).flatMap((name) => {
    const { address = 0n, sizeBytes = 0 } = image.symbolByName(name) ?? {};
    return Array.from({ length: sizeBytes }, (_, at) => address + BigInt(at));
  });
  const inlined = addresses.find(
    (it) => image.inlineChainAt(it).length > 1 && image.describeLocals(it).length > 0,
  );
  assert.ok(inlined !== undefined, 'something is inlined');
  for (const [what, queries] of Object.entries(QUERIES)) {
    const documented = rows.get(what);
    assert.ok(documented !== undefined, `the table has a row ${what}`);
    const answers = await ask(program, queries(`0x${inlined.toString(16)}`));
    const printed = new Set(answers.flatMap((answer) => fieldNames(answer)));
    assert.deepEqual([...printed].sort(), documented, what);
  }
});

/** Names of an object's fields, and of those of the objects in its lists. */
function fieldNames(answer: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(answer).flatMap(([name, value]) => {
    if (name === 'query') return [];
    const items: unknown[] = Array.isArray(value) ? value : [];
    const inner = items.flatMap((it) => (typeof it === 'object' && it !== null ? Object.keys(it) : []));
    return [name, ...inner.map((it) => `${name}.${it}`)];
  });
}

/** `locations`: `[{name, start}…]` in a row is locations, locations.name and locations.start. */
function documentedFields(text: string): Map<string, string[]> {
  const table = text.slice(text.indexOf('## --json'));
  const rows = new Map<string, string[]>();
  for (const [, what = '', fields = ''] of table.matchAll(/^\| (.*?) \| (.*) \|$/gm)) {
    const names = new Set<string>();
    for (const [, name = '', list] of fields.matchAll(/`(\w+)`(?:: `\[\{([^}]*)\}…\]`)?/g)) {
      // `address` is explained once more after the list it is in.
      if (name === 'address' && names.has('locations') && !names.has('symbol')) continue;
      names.add(name);
      for (const inner of list?.split(', ') ?? []) names.add(`${name}.${inner}`);
    }
    rows.set(what, [...names].sort());
  }
  return rows;
}

async function ask(
  program: string,
  queries: readonly string[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  let out = '';
  const code = await run([program, '--json', ...queries], {
    open: (path) => openFileSource(path),
    decompressors: NODE_DECOMPRESSORS,
    lines: async function* () {
      // nothing: every query is on the command line
    },
    write: async (text) => void (out += text),
    writeError: (text) => assert.fail(text),
  });
  assert.equal(code, 0, out);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}
