/**
 * A real VS Code without a desktop: code-server in our cache, and Debian's Chromium to drive it. For the demo
 * and for tests; no user of the extension needs it.
 *
 * code-server's own postinstall script downloads a ripgrep binary and builds modules nothing here uses; the
 * steps below are the ones that matter, and everything they fetch comes from the npm registry of this
 * machine.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { cacheDirectory, withLock } from './cache.ts';
import { ensurePackages } from './debian.ts';

const run = promisify(execFile);

/** The newest that runs on Node 20; its VS Code, 1.100, is the oldest we support. */
export const CODE_SERVER_VERSION = '4.100.3';
const INSTALL_TIMEOUT_MS = 10 * 60_000;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const STDERR_TAIL_LINES = 20;

/**
 * Relative to code-server's lib/vscode/node_modules. The others with native code are for other platforms or
 * sign-in.
 */
const NATIVE_MODULES = ['@vscode/spdlog', 'node-pty', 'native-watchdog', '@parcel/watcher'];

export interface CodeServer {
  /** Shows `folder`. */
  readonly url: string;
  /** Where the server's user data, logs and extensions are; gone after stop(). */
  readonly dataDirectory: string;
  /** Resolves when the server is gone, by itself or by stop(). */
  readonly exited: Promise<void>;
  stop(): Promise<void>;
}

export interface CodeServerOptions {
  readonly folder: string;
  /** A .vsix file to install. */
  readonly extension?: string;
  /** The folder of an extension that needs no packaging. */
  readonly unpackedExtension?: string;
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** Added to the environment of the server, and so of the extension. `undefined` removes a variable. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Added to the user's settings.json. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** Settings that keep a first start quiet and off the network. */
const QUIET_SETTINGS = {
  'chat.commandCenter.enabled': false,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'git.openRepositoryInParentFolders': 'never',
  'remote.autoForwardPorts': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'workbench.enableExperiments': false,
  'workbench.settings.enableNaturalLanguageSearch': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};

/**
 * Installs code-server in the cache when it is not there. Throws an Error with one sentence when that is not
 * possible.
 */
export async function ensureCodeServer(): Promise<{ readonly entry: string }> {
  const home = path.join(cacheDirectory(), `code-server-${CODE_SERVER_VERSION}`);
  const entry = path.join(home, 'node_modules/code-server/out/node/entry.js');
  if (existsSync(entry)) return { entry };
  await requireTools();
  // Checked again under the lock: another caller may have installed it while we waited.
  await withLock('code-server', async () => {
    if (!existsSync(entry)) await installInto(home);
  });
  return { entry };
}

/**
 * The Chromium that playwright drives. Installs Debian's when there is none. Throws an Error with one
 * sentence.
 */
export async function ensureChromium(): Promise<{ readonly executable: string }> {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const found = firstOnPath(names);
  if (found !== undefined) return { executable: found };
  progress('installing chromium from Debian');
  const problem = await ensurePackages(['chromium', 'fonts-dejavu-core']);
  const executable = firstOnPath(names);
  if (executable === undefined)
    throw new Error(`no Chromium to drive VS Code with: ${problem ?? 'not on PATH'}`);
  return { executable };
}

/** Starts VS Code on a folder, apart from any other VS Code of this user. */
export async function startCodeServer(options: CodeServerOptions): Promise<CodeServer> {
  const { entry } = await ensureCodeServer();
  const dataDirectory = await mkdtemp(path.join(tmpdir(), 'trapframe-code-'));
  try {
    const server = await launch(entry, dataDirectory, options);
    return server;
  } catch (error) {
    await rm(dataDirectory, { recursive: true, force: true });
    throw error;
  }
}

// Installing.

/** A sentence if it cannot run at all: its native modules are for one version of Node. */
export function codeServerUnavailable(): string | undefined {
  const isRight = process.versions.node.split('.')[0] === '20';
  return isRight
    ? undefined
    : `code-server ${CODE_SERVER_VERSION} runs on Node 20; this is ${process.version}`;
}

async function requireTools(): Promise<void> {
  const unavailable = codeServerUnavailable();
  if (unavailable !== undefined) throw new Error(unavailable);
  const missing: string[] = [];
  for (const tool of ['python3', 'make', 'g++', 'npm']) {
    if (firstOnPath([tool]) === undefined) missing.push(tool);
  }
  if (missing.length > 0) {
    throw new Error(`building code-server needs ${missing.join(', ')}: apt-get install python3 make g++ npm`);
  }
}

/** Builds beside the final place, then renames: what is in the cache is always whole. */
async function installInto(home: string): Promise<void> {
  await mkdir(path.dirname(home), { recursive: true });
  const work = await mkdtemp(`${home}.work-`);
  try {
    progress(`installing code-server ${CODE_SERVER_VERSION} into ${home} (once, about a minute)`);
    await writeFile(path.join(work, 'package.json'), '{ "private": true }\n');
    await npmInstall(work, [`code-server@${CODE_SERVER_VERSION}`]);
    const codeServer = path.join(work, 'node_modules/code-server');
    const vscode = path.join(codeServer, 'lib/vscode');
    progress('installing what its VS Code depends on');
    await npmInstall(vscode, []);
    await npmInstall(path.join(vscode, 'extensions'), []);
    await symlink('node_modules', path.join(vscode, 'node_modules.asar'));
    await buildNativeModules(work, path.join(vscode, 'node_modules'));
    await linkRipgrep(path.join(vscode, 'node_modules/@vscode/ripgrep/bin'));
    await rename(work, home);
  } catch (error) {
    throw new Error(`cannot install code-server: ${lastLine(error)}`, { cause: error });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function npmInstall(directory: string, packages: readonly string[]): Promise<void> {
  const flags = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  flags.push('--fetch-retries=5'); // a busy registry
  await run('npm', ['install', ...flags, ...packages], { cwd: directory, timeout: INSTALL_TIMEOUT_MS });
}

async function buildNativeModules(work: string, vscodeModules: string): Promise<void> {
  const nodeGyp = await npmsNodeGyp();
  const headers = nodeHeaders();
  const build = async (tool: string, args: readonly string[], directory: string): Promise<void> => {
    progress(`building ${path.relative(path.join(directory, '../..'), directory)}`);
    const options = { cwd: directory, timeout: INSTALL_TIMEOUT_MS, maxBuffer: 64 << 20 };
    await run(process.execPath, [tool, 'rebuild', ...args, ...headers], options);
  };
  for (const name of NATIVE_MODULES) await build(nodeGyp, [], path.join(vscodeModules, name));
  const preGyp = path.join(work, 'node_modules/@mapbox/node-pre-gyp/bin/node-pre-gyp');
  await build(preGyp, ['--build-from-source'], path.join(work, 'node_modules/argon2'));
}

/** npm includes a node-gyp; where it is depends on how npm was installed. */
async function npmsNodeGyp(): Promise<string> {
  const { stdout } = await run('npm', ['root', '--global', '--loglevel=error']);
  return createRequire(path.join(stdout.trim(), 'npm/package.json')).resolve('node-gyp/bin/node-gyp.js');
}

/** Headers that came with this Node, so that node-gyp does not download them. */
function nodeHeaders(): string[] {
  const prefix = path.dirname(path.dirname(process.execPath));
  return existsSync(path.join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : [];
}

/** Quick Open and search run `rg`; without it only those do not work. */
async function linkRipgrep(directory: string): Promise<void> {
  const problem = await ensurePackages(['ripgrep']);
  const executable = firstOnPath(['rg']);
  if (executable === undefined)
    return progress(`no file search in this VS Code: ${problem ?? 'rg is not on PATH'}`);
  await mkdir(directory, { recursive: true });
  await symlink(executable, path.join(directory, 'rg'));
}

// Running.

async function launch(entry: string, dataDirectory: string, options: CodeServerOptions): Promise<CodeServer> {
  const extensionsDirectory = path.join(dataDirectory, 'extensions');
  const userDirectory = path.join(dataDirectory, 'user');
  await mkdir(path.join(userDirectory, 'User'), { recursive: true });
  await mkdir(extensionsDirectory);
  if (options.unpackedExtension !== undefined)
    await addUnpacked(options.unpackedExtension, extensionsDirectory);
  const settings = { ...QUIET_SETTINGS, ...options.settings };
  await writeFile(path.join(userDirectory, 'User/settings.json'), JSON.stringify(settings, undefined, 2));
  const places = ['--user-data-dir', userDirectory, '--extensions-dir', extensionsDirectory];
  places.push('--config', path.join(dataDirectory, 'config.yaml'));
  const env = serverEnvironment(options.environment ?? {});
  if (options.extension !== undefined) {
    await run(process.execPath, [entry, ...places, '--install-extension', options.extension], { env });
  }
  const quiet = [
    '--auth',
    'none',
    '--disable-telemetry',
    '--disable-update-check',
    '--disable-workspace-trust',
  ];
  const address = ['--bind-addr', `127.0.0.1:${options.port ?? 0}`];
  const args = [entry, ...places, ...quiet, '--disable-getting-started-override', ...address, options.folder];
  // A process group of its own: VS Code's helpers end with it.
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    await stopGroup(child, exited);
    await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const base = await listening(child);
    const url = `${base}?folder=${encodeURIComponent(path.resolve(options.folder)).replaceAll('%2F', '/')}`;
    return { url, dataDirectory, exited, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** VS Code accepts what it finds in an extensions folder that it has not used yet. */
export async function addUnpacked(extension: string, extensionsDirectory: string): Promise<void> {
  const place = path.join(extensionsDirectory, path.basename(extension));
  await cp(extension, place, { recursive: true });
}

/**
 * Without the variables of a terminal inside another VS Code, which would make code-server open the folder
 * there.
 */
function serverEnvironment(added: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([key]) => !/^(VSCODE_|CODE_SERVER_|ELECTRON_)|^(PORT|PASSWORD|HASHED_PASSWORD|NODE_OPTIONS)$/.test(key),
  );
  return { ...Object.fromEntries(own), ...added };
}

async function listening(child: ChildProcess): Promise<string> {
  const tail: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<string>((resolve, reject) => {
      const onLine = (line: string): void => {
        tail.push(line);
        if (tail.length > STDERR_TAIL_LINES) tail.shift();
        const address = /listening on (http:\/\/\S+)/.exec(line)?.[1];
        if (address !== undefined) resolve(address);
      };
      if (child.stdout) createInterface({ input: child.stdout }).on('line', onLine);
      if (child.stderr) createInterface({ input: child.stderr }).on('line', onLine);
      const fail = (what: string): void => reject(new Error(`code-server ${what}:\n${tail.join('\n')}`));
      child.once('error', (error) => fail(`cannot be started (${error.message})`));
      child.once('close', (code) => fail(`ended with code ${code}`));
      timer = setTimeout(() => fail('does not listen'), START_TIMEOUT_MS);
    });
  } finally {
    clearTimeout(timer);
  }
}

async function stopGroup(child: ChildProcess, exited: Promise<void>): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // the group is gone
    }
  };
  signal('SIGTERM');
  const timer = setTimeout(() => signal('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
  signal('SIGKILL'); // helpers that outlived their parent
}

// Helpers.

function firstOnPath(names: readonly string[]): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(path.delimiter).filter((it) => it !== '');
  return names.flatMap((name) => directories.map((it) => path.join(it, name))).find((it) => existsSync(it));
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr ?? '').split('\n').findLast((it) => it.trim() !== '') ?? message;
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
