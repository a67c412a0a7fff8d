/** Debug information as the tools of this machine pack it: compressed by objcopy, with what gdb reads in every form. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';

const directory = scratchDirectory();

for (const method of ['zlib', 'zlib-gnu', 'zstd']) {
  test(`sections compressed with ${method} answer as they did before`, (t) => {
    const reason = missingTool('gcc', 'objcopy') ?? methodUnknown(method);
    if (reason !== undefined) return t.skip(reason);
    const plain = compile('gcc', 'values.c', join(directory, `plain-${method}`), ['-O2', '-g']);
    const packed = join(directory, `packed-${method}`);
    copyFileSync(plain, packed);
    run('objcopy', [`--compress-debug-sections=${method}`, packed]);
    const headers = run('readelf', ['-SW', packed]);
    assert.match(
      headers,
      method === 'zlib-gnu' ? /\.zdebug_info/ : /\.debug_info .* C /,
      'really compressed',
    );
    const [before, after] = [openImage(plain), openImage(packed)];
    const start = before.symbolByName('main')?.address;
    assert.ok(start !== undefined);
    for (let address = start; address < start + 64n; address++) {
      assert.deepEqual(after.lineAt(address), before.lineAt(address));
      assert.deepEqual(after.describeLocals(address), before.describeLocals(address));
    }
    assert.ok(after.describeLocals(start).length > 0);
    assert.deepEqual(after.problems(), []);
  });
}

/** binutils may have been built without zstd. */
function methodUnknown(method: string): string | undefined {
  return run('objcopy', ['--help']).includes(method) ? undefined : `this objcopy does not know ${method}`;
}
