/**
 * Debug information that was split off a program with objcopy is found again, and that from another build is
 * refused.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../debug-adapter/symbols/cli/commandLine.ts';
import { NODE_DECOMPRESSORS } from '../../debug-adapter/symbols/files/decompressors.ts';
import { openFileSource } from '../../vmm-core/client/fileSource.ts';
import { compile, missingTool, openImage, scratchDirectory } from './compile.ts';

test('a stripped program is answered for by the file that .gnu_debuglink names', async (t) => {
  const reason = missingTool('gcc', 'objcopy', 'strip');
  if (reason !== undefined) return t.skip(reason);
  const directory = scratchDirectory();
  const program = compile('gcc', 'values.c', join(directory, 'program'), ['-g', '-Wl,--build-id']);
  const debug = join(directory, 'program.debug');
  execFileSync('objcopy', ['--only-keep-debug', program, debug]);
  const stripped = join(directory, 'stripped');
  execFileSync('objcopy', ['--strip-all', `--add-gnu-debuglink=${debug}`, program, stripped]);
  const address = openImage(program).symbolByName('main')?.address ?? 0n;
  const { out, err } = await ask(stripped, 'main');
  assert.equal(err, '');
  assert.match(out, new RegExp(`^0x${address.toString(16)} main at .*values\\.c:\\d+`));

  const other = compile('gcc', 'values.c', join(directory, 'other'), ['-g', '-O1', '-Wl,--build-id']);
  copyFileSync(other, debug);
  const refused = await ask(stripped, 'main');
  const ids = [openImage(other).buildId ?? '?', openImage(stripped).buildId ?? '?'];
  assert.match(refused.err, new RegExp(`another build than .*: build-id ${ids[0]}, wanted ${ids[1]}`));
  assert.notEqual(ids[0], ids[1]);
});

async function ask(file: string, query: string): Promise<{ out: string; err: string }> {
  let out = '';
  let err = '';
  await run([file, query], {
    open: (path) => openFileSource(path),
    decompressors: NODE_DECOMPRESSORS,
    lines: async function* () {
      // nothing: the query is on the command line
    },
    write: async (text) => void (out += text),
    writeError: (text) => (err += text),
  });
  return { out, err };
}
