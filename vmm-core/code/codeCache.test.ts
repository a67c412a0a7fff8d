import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { codeCachePath, keepCode, readProgram } from './codeCache.ts';
import { runProgram, wasCompiled } from './program.ts';

const SEEN = 'trapframeCodeCacheTest';

describe('the code cache of a bundle', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'tf-code-'));
    file = path.join(folder, 'program.js');
    writeProgram('one');
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** All programs are equally long, which is all that V8 compares. */
  function writeProgram(word: string): void {
    writeFileSync(file, `Reflect.set(globalThis, '${SEEN}', '${word}');`);
    utimesSync(file, 1, 1); // as from a package
  }

  function run(use?: string): { readonly seen: unknown; readonly isFromCache: boolean } {
    const program = readProgram(file, use);
    const script = runProgram(program);
    const isFromCache = !wasCompiled(script, program);
    if (!isFromCache) keepCode(program, script.createCachedData());
    return { seen: Reflect.get(globalThis, SEEN), isFromCache };
  }

  it('has the code for every process but the first', () => {
    assert.deepEqual(run(), { seen: 'one', isFromCache: false });
    assert.deepEqual(run(), { seen: 'one', isFromCache: true });
    assert.deepEqual(readdirSync(folder).sort(), ['program.js', path.basename(codeCachePath(file))]);
  });

  it('is not taken for another bundle, though it may have the same length and time', () => {
    run();
    writeProgram('two');
    assert.deepEqual(run(), { seen: 'two', isFromCache: false });
    assert.deepEqual(run(), { seen: 'two', isFromCache: true });
  });

  it('is made anew where it is damaged or cut short: V8 would crash over it', () => {
    run();
    const whole = readFileSync(codeCachePath(file));
    const damaged = Buffer.from(whole);
    damaged[whole.length >> 1] = ~(whole[whole.length >> 1] ?? 0) & 0xff;
    for (const wrong of [damaged, whole.subarray(0, whole.length >> 1), whole.subarray(0, 5)]) {
      writeFileSync(codeCachePath(file), wrong);
      assert.equal(run().isFromCache, false);
      assert.equal(run().isFromCache, true);
    }
  });

  it('is of one use of the bundle: others compile other parts', () => {
    run();
    assert.equal(run('other').isFromCache, false);
    assert.deepEqual([run().isFromCache, run('other').isFromCache], [true, true]);
  });

  it('is done without where it cannot be written', () => {
    mkdirSync(path.join(codeCachePath(file), 'in the way'), { recursive: true }); // no access right stops root
    assert.deepEqual([run().isFromCache, run().isFromCache], [false, false]);
    assert.deepEqual(readdirSync(folder).sort(), ['program.js', path.basename(codeCachePath(file))]);
  });
});
