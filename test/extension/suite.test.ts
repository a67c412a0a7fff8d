/**
 * suite/helloSuite.ts in the extension host of a code-server; VS Code in a browser runs extension tests named
 * in its URL's payload.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { chromium } from 'playwright-core';
import { ensureChromium, startCodeServer } from '../../scripts/codeServer.ts';
import { bundleExtensionSuite } from '../../scripts/extensionSuite.ts';
import { HELLO_FOLDER } from './support/hello.ts';
import { ROOT } from './support/root.ts';
import { CHROMIUM_FLAGS } from './support/workbench.ts';

const SUITE_TIMEOUT_MS = 180_000;

it('the scenario passes through the API of VS Code, in its extension host', async () => {
  const suite = await bundleExtensionSuite();
  const { executable } = await ensureChromium();
  const directory = await mkdtemp(path.join(tmpdir(), 'trapframe-suite-'));
  const report = path.join(directory, 'report');
  const environment = { TRAPFRAME_ROOT: ROOT, TRAPFRAME_SUITE_REPORT: report };
  const server = await startCodeServer({ folder: HELLO_FOLDER, environment });
  const browser = await chromium.launch({ executablePath: executable, args: CHROMIUM_FLAGS });
  try {
    const context = await browser.newContext();
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await context.newPage();
    const exitCode = new Promise<number>((resolve, reject) => {
      setTimeout(() => reject(new Error('the suite does not end')), SUITE_TIMEOUT_MS).unref();
      // Functions that VS Code calls when a page that runs extension tests has them.
      void page.exposeFunction('codeAutomationLog', () => undefined);
      void page.exposeFunction('codeAutomationExit', resolve);
    });
    await page.goto(`${server.url}&payload=${encodeURIComponent(testPayload(server.url, suite))}`);
    const code = await exitCode;
    const lines = (await readFile(report, 'utf8')).trim().split('\n');
    assert.deepEqual([code, ...lines.filter((it) => !it.startsWith('ok - '))], [0], lines.join('\n'));
    assert.ok(lines.length > 0, 'the suite ran');
  } finally {
    await browser.close();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
});

/** What the desktop's VS Code takes as --extensionDevelopmentPath and --extensionTestsPath. */
function testPayload(serverUrl: string, suite: string): string {
  const remote = `vscode-remote://${new URL(serverUrl).host}`;
  return JSON.stringify([
    ['extensionDevelopmentPath', `${remote}${ROOT}`],
    ['extensionTestsPath', `${remote}${suite}`],
  ]);
}
