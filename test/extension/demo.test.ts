/** `npm run demo`, as a user starts and ends it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { ROOT } from './support/root.ts';

it('prints where VS Code is, serves it, and ends with Ctrl-C leaving nothing behind', async () => {
  const args = ['--import', 'tsx', path.join(ROOT, 'scripts/demo.ts'), '--browser'];
  const demo = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(demo, 'close');
  try {
    const url = await firstUrl(createInterface({ input: demo.stdout }));
    const page = await fetch(url);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /code-server|vscode/);
    // More than once: the terminal sends Ctrl-C to all of its foreground processes, and some of those pass it on.
    const impatience = setInterval(() => demo.kill('SIGINT'), 50);
    await ended.finally(() => clearInterval(impatience));
    await assert.rejects(fetch(url), 'the server is gone');
  } finally {
    demo.kill('SIGKILL');
  }
});

async function firstUrl(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error('the demo ended without printing a URL');
}
