/** `npm run demo`, as a user starts and ends it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { chromium } from 'playwright-core';
import { ensureChromium } from '../../scripts/codeServer.ts';
import { ROOT } from './support/root.ts';
import { CHROMIUM_FLAGS } from './support/workbench.ts';

const OPENING_TIMEOUT_MS = 90_000;

it('prints where VS Code is, serves it with the sample and its README open, and ends with Ctrl-C leaving nothing behind', async () => {
  const args = ['--import', 'tsx', path.join(ROOT, 'scripts/demo.ts'), '--browser'];
  const demo = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(demo, 'close');
  try {
    const url = await firstUrl(createInterface({ input: demo.stdout }));
    const page = await fetch(url);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /code-server|vscode/);
    await showsSampleAndReadme(url);
    // More than once: the terminal sends Ctrl-C to all of its foreground processes, and some of those pass it
    // on.
    const impatience = setInterval(() => demo.kill('SIGINT'), 50);
    await ended.finally(() => clearInterval(impatience));
    await assert.rejects(fetch(url), 'the server is gone');
  } finally {
    demo.kill('SIGKILL');
  }
});

/** Not an empty window: main.c where its breakpoint goes, and beside it what to try. */
async function showsSampleAndReadme(url: string): Promise<void> {
  const { executable } = await ensureChromium();
  const browser = await chromium.launch({ executablePath: executable, args: CHROMIUM_FLAGS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(OPENING_TIMEOUT_MS);
    await page.goto(url);
    await page.locator('.tab[data-resource-name="main.c"]').waitFor();
    await page.locator('.view-line', { hasText: 'static void on_key(' }).waitFor();
    await page.locator('.tab[data-resource-name="README.md"]').waitFor();
    const readme = page.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
    await readme.getByText('Things to try').waitFor();
    await page.locator('.editor-instance .monaco-editor.focused').waitFor();
  } finally {
    await browser.close();
  }
}

async function firstUrl(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error('the demo ended without printing a URL');
}
