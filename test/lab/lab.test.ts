/**
 * Runs every `*.lab.ts` next to this file inside one L1, and reports their tests as its own.
 * LAB_FILTER=linux runs the files whose name contains that, LAB_TEST the tests whose name matches,
 * LAB_VERBOSE=1 shows L1's console.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { bundleName } from './image.ts';
import { AGAIN_MARK } from '../support/again.ts';
import { prepareLab, runLab } from './lab.ts';
import { Mirror } from './mirror.ts';
import { readByTshark } from './readByTshark.ts';
import { runWithSecondChance } from './secondChance.ts';

test('the lab', async (t) => {
  const files = await labFiles(process.env['LAB_FILTER']);
  const missing = await prepareLab();
  if (missing !== undefined) return t.skip(missing);
  await runWithSecondChance({
    bundles: files.map(bundleName),
    runInL1: (bundles, onMessage) => {
      const chosen = files.filter((it) => bundles.includes(bundleName(it)));
      return runLab({ files: chosen, onMessage, ...environmentOptions() });
    },
    mirror: (title) => new Mirror(t, title, readByTshark),
    onReady: ({ node, kernel, uptimeSeconds }) =>
      t.diagnostic(`node ${node} on Linux ${kernel}, ${uptimeSeconds} s after its start`),
    onAgain: (what, reason) => t.diagnostic(`${AGAIN_MARK}${what}: ${reason}`),
  });
});

async function labFiles(filter = ''): Promise<string[]> {
  const all = (await readdir(import.meta.dirname)).filter((it) => it.endsWith('.lab.ts')).sort();
  const chosen = all.filter((it) => it.includes(filter));
  assert.notEqual(chosen.length, 0, `LAB_FILTER=${filter} matches none of ${all.join(', ')}`);
  return chosen.map((it) => path.join(import.meta.dirname, it));
}

function environmentOptions(): { testNamePattern?: string; onConsole?: (text: string) => void } {
  const pattern = process.env['LAB_TEST'];
  const verbose = process.env['LAB_VERBOSE'] === '1';
  return {
    ...(pattern === undefined ? {} : { testNamePattern: pattern }),
    ...(verbose ? { onConsole: (text) => void process.stderr.write(text) } : {}),
  };
}
