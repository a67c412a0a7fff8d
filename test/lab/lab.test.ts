/**
 * Runs every `*.lab.ts` beside this file inside one L1, and reports their tests as its own.
 * LAB_FILTER=linux runs the files whose name contains that, LAB_TEST the tests whose name matches, LAB_VERBOSE=1 shows L1's console.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { bundleName } from './image.ts';
import type { LabMessage } from './inside/labProtocol.ts';
import { prepareLab, runLab } from './lab.ts';
import { Mirror } from './mirror.ts';

const BOOT = 'L1 boots to node';

test('the lab', async (t) => {
  const files = await labFiles(process.env['LAB_FILTER']);
  const missing = await prepareLab();
  if (missing !== undefined) return t.skip(missing);

  let current: Mirror | undefined = new Mirror(t, BOOT);
  let notRun = files.map(bundleName);
  let ended: Promise<void> = Promise.resolve();
  const finish = (problem?: string): void => {
    if (current !== undefined) ended = current.finish(problem);
    current = undefined;
  };
  const onMessage = (message: LabMessage): void => {
    switch (message.type) {
      case 'ready':
        t.diagnostic(
          `node ${message.node} on Linux ${message.kernel}, ${message.uptimeSeconds} s after its start`,
        );
        finish();
        break;
      case 'fileStart':
        notRun = notRun.filter((it) => it !== message.bundle);
        current = new Mirror(t, path.basename(message.bundle, '.js'));
        break;
      case 'test':
        current?.handle(message.event);
        break;
      case 'fileEnd':
        finish(message.problem);
        break;
      case 'done': // runLab resolves when L1 is off
    }
  };
  try {
    await runLab({ files, onMessage, ...environmentOptions() });
    await ended;
  } catch (error) {
    await (current ?? new Mirror(t, 'L1 powers off')).finish((error as Error).message);
    for (const it of notRun)
      await new Mirror(t, path.basename(it, '.js')).finish('did not run: L1 had failed');
  }
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
