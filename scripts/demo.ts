/**
 * `npm run demo`: VS Code with the extension on samples/hello, ready for F5. The desktop's `code` when there
 * is one, else a VS Code in the browser; both run the VSIX that users install. Stays until Ctrl-C. It opens
 * without KVM too: F5 shows the cure.
 *
 *   --browser   the browser even where there is a desktop VS Code
 *   --port N    where the browser finds it; default any free port
 *   --check     stop as soon as it is reachable, for tests
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { addUnpacked, startCodeServer } from './codeServer.ts';
import { packageVsix } from './vsix.ts';

const run = promisify(execFile);

const ROOT = path.join(import.meta.dirname, '..');
const SAMPLE = path.join(ROOT, 'samples/hello');
const OPENER = path.join(import.meta.dirname, 'demoOpener');
const INTRODUCTION =
  'The folder is a small kernel: set a breakpoint in on_key of src/main.c, press F5, then a key in the terminal';

interface DemoOptions {
  readonly check: boolean;
  readonly port: number;
}

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      browser: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      port: { type: 'string', default: '0' },
    },
  });
  const options: DemoOptions = { check: values.check, port: Number(values.port) };
  if (!Number.isInteger(options.port) || options.port < 0 || options.port > 65535) {
    throw new Error(`--port is ${values.port}, but must be a number from 0 to 65535`);
  }
  console.log('packaging the extension …');
  const vsix = await packageVsix();
  const code = values.browser || !hasDisplay() ? undefined : findOnPath('code');
  await (code === undefined ? demoInBrowser(vsix, options) : demoOnDesktop(code, vsix, options));
}

async function demoInBrowser(vsix: string, options: DemoOptions): Promise<void> {
  const stopRequested = untilSignal();
  const server = await startCodeServer({
    folder: SAMPLE,
    extension: vsix,
    unpackedExtension: OPENER,
    port: options.port,
  });
  try {
    await checkReachable(server.url);
    console.log(`\nOpen ${server.url} in a browser and press F5.\n${INTRODUCTION}. Ctrl-C ends the demo.`);
    if (!options.check) await Promise.race([stopRequested, server.exited]);
  } finally {
    await server.stop();
  }
}

/** A window with data and extensions of its own, so that the user's VS Code stays untouched. */
async function demoOnDesktop(code: string, vsix: string, options: DemoOptions): Promise<void> {
  const data = await mkdtemp(path.join(tmpdir(), 'trapframe-demo-'));
  const places = [
    '--user-data-dir',
    path.join(data, 'user'),
    '--extensions-dir',
    path.join(data, 'extensions'),
  ];
  const stopRequested = untilSignal();
  try {
    await addUnpacked(OPENER, path.join(data, 'extensions'));
    await run(code, [...places, '--install-extension', vsix]);
    if (options.check) return console.log(`VS Code is ready: ${code}`);
    const flags = ['--disable-workspace-trust', '--skip-welcome', '--new-window', '--wait'];
    const window = spawn(code, [...places, ...flags, SAMPLE], { stdio: 'ignore' });
    const closed = new Promise<void>((resolve, reject) => {
      window.once('error', reject);
      window.once('close', () => resolve());
    });
    console.log(
      `\nPress F5 in the window that opens.\n${INTRODUCTION}. Closing the window or Ctrl-C ends the demo.`,
    );
    await Promise.race([stopRequested, closed]);
    window.kill();
  } finally {
    await rm(data, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function checkReachable(url: string): Promise<void> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`VS Code answers with status ${response.status} at ${url}`);
}

/**
 * Signals after the first do nothing: Ctrl-C comes twice (from the terminal and from bootstrap.mjs), and VS
 * Code must still be ended.
 */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
}

function hasDisplay(): boolean {
  return Boolean(process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY']);
}

function findOnPath(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(path.delimiter).filter((it) => it !== '');
  return directories.map((it) => path.join(it, name)).find((it) => existsSync(it));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
