/** Captures of L1, read by tshark on the host: it knows more of the protocols than our tests do. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { ensurePackages } from '../../scripts/debian.ts';

/** What anything in a frame is called that tshark finds wrong. */
const COMPLAINTS = '_ws.malformed or _ws.expert.severity >= "Warning"';

/** A subtest; skipped, with the reason, where there is no tshark. `data`: gzip, in base64. */
export async function readByTshark(t: TestContext, file: string, data: string): Promise<void> {
  await t.test(`${path.basename(file)} is read by tshark without a warning`, async (t) => {
    const missing = await ensurePackages(['tshark']);
    if (missing !== undefined) return t.skip(missing);
    const folder = await mkdtemp(path.join(tmpdir(), 'trapframe-capture-'));
    t.after(() => rm(folder, { recursive: true }));
    const copy = path.join(folder, path.basename(file));
    await writeFile(copy, gunzipSync(Buffer.from(data, 'base64')));
    const protocols = await tshark(copy, '-T', 'fields', '-e', 'frame.protocols');
    assert.notEqual(protocols, '', 'there are no frames');
    assert.equal(await tshark(copy, '-Y', COMPLAINTS), '');
    const frames = protocols.split('\n');
    const names = new Set(frames.flatMap((it) => it.split(':')));
    t.diagnostic(`${frames.length} frames: ${[...names].sort().join(' ')}`);
  });
}

/** Rejects when it cannot read the file: it says so by its exit code. */
async function tshark(file: string, ...options: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)('tshark', ['-r', file, ...options]);
  assert.equal(stderr.replace(/^Running as user "root".*\n/, ''), '');
  return stdout.trim();
}
