/** The man page, checked by the program that displays it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { it } from 'node:test';
import { ensurePackages } from '../../scripts/debian.ts';

const PAGE = path.join(import.meta.dirname, '../../docs/vm.conf.5');

it('mandoc accepts vm.conf(5) without complaint, and shows it', async (t) => {
  const missing = await ensurePackages(['mandoc']);
  if (missing !== undefined) {
    t.skip(missing);
    return;
  }
  const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'style', PAGE], { encoding: 'utf8' });
  assert.deepEqual([lint.status, lint.stdout, lint.stderr], [0, '', '']);
  const shown = spawnSync('mandoc', ['-T', 'ascii', PAGE], { encoding: 'utf8' }).stdout;
  const plain = shown.replace(/.\x08/g, ''); // bold and underlined by overstriking
  assert.match(plain, /^ {5}memory size$/m);
  assert.match(plain, /the language of OpenBSD's vmd\(8\)/);
});
