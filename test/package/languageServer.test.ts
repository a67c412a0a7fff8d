/** The language server as it ships: what resources it takes. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { busyServerMb, serverMb } from '../../bench/vmConf.ts';

const MAX_MB = 60;

it(`it stays under ${MAX_MB} MB, with 10 000 lines open and typed in, too`, async () => {
  assert.ok((await serverMb(process.execPath)) < MAX_MB);
  const busy = await busyServerMb(process.execPath);
  assert.ok(busy < MAX_MB, `${busy.toFixed(1)} MB`);
});
