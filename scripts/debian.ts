/**
 * Packages from the machine's own Debian archive, for tests, benches and the demo; nothing a user of the
 * extension runs.
 *
 * Two ways to have one: `ensurePackages` installs it (root or password-less sudo), `fetchPackage` only
 * unpacks it into our cache, which any user may do. A machine where neither works is not an error: callers
 * get a sentence to skip with. Callers run concurrently (test files, several checkouts), so all of apt
 * happens under one lock per user.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory, withLock } from './cache.ts';

const execFileAsync = promisify(execFile);

const APT_TIMEOUT_MS = 15 * 60_000;
/** Where `enableBackports` puts its copy of the machine's entry. */
const BACKPORTS_ENTRY = '/etc/apt/sources.list.d/trapframe-backports';
/** How long apt waits for a dpkg that someone else is running. */
const DPKG_LOCK_SECONDS = 300;
/** How often apt retries each file before it gives up. */
const ACQUIRE_RETRIES = 3;
const APT_OPTIONS = [
  ...['-o', `DPkg::Lock::Timeout=${DPKG_LOCK_SECONDS}`],
  ...['-o', `Acquire::Retries=${ACQUIRE_RETRIES}`],
];

/**
 * What apt says when the same command may soon work: another apt holds its lists, or a mirror is being
 * updated or overloaded.
 */
const TRANSIENT = new RegExp(
  [
    'Could not get lock|Unable to (?:acquire|lock)',
    'Temporary failure|timed out|Could not connect|Connection (?:failed|reset|refused)|Could not wait for server',
    'Hash Sum mismatch|unexpected size|Mirror sync in progress|\\b(?:429|50[0234]) +[A-Z]',
  ].join('|'),
);
const TRANSIENT_WAITS_MS = [2000, 10_000, 30_000, 60_000];

export interface PackageOptions {
  /**
   * A suite to prefer, as for `apt-get install -t`; `backports` is this release's own backports, enabled when
   * needed.
   */
  readonly suite?: string;
  /** An installed package older than this (Debian version, e.g. `1:10`) counts as missing. */
  readonly minimumVersion?: string;
}

/**
 * Installs what is missing. Returns undefined when everything is there, else one sentence that says what is
 * missing and why.
 */
export async function ensurePackages(
  names: readonly string[],
  options: PackageOptions = {},
): Promise<string | undefined> {
  if ((await missingPackages(names, options)).length === 0) return undefined;
  return withLock('apt', async () => {
    // Checked again: another caller may have installed them while we waited for the lock.
    const missing = await missingPackages(names, options);
    if (missing.length === 0) return undefined;
    const sudo = await rootPrefix();
    if (typeof sudo === 'string') return `missing Debian packages ${missing.join(', ')}: ${sudo}`;
    try {
      await installPackages(missing, options, sudo);
    } catch (error) {
      return `cannot install the Debian packages ${missing.join(', ')}: ${lastLine(error)}`;
    }
    const still = await missingPackages(missing, options);
    if (still.length === 0) return undefined;
    const wanted =
      options.minimumVersion === undefined ? '' : ` in version ${options.minimumVersion} or newer`;
    return `this machine's apt sources do not have ${still.join(', ')}${wanted}`;
  });
}

/**
 * Adds the backports suite of this Debian release to apt's sources, by copying the machine's own Debian
 * entry: the mirror stays the same. Returns undefined when the suite is available, else a sentence.
 */
export async function enableBackports(): Promise<string | undefined> {
  return withLock('apt', async () => {
    const sudo = await rootPrefix();
    if (typeof sudo === 'string') return `cannot enable backports: ${sudo}`;
    try {
      await enableBackportsLocked(sudo);
      return undefined;
    } catch (error) {
      return `cannot enable backports: ${lastLine(error)}`;
    }
  });
}

/**
 * The unpacked contents of a package in our cache, downloaded when no copy is there. `*` in the name matches
 * anything, and the newest match is taken: `linux-image-6.1.0-*-cloud-amd64`. Throws when it cannot be
 * obtained.
 */
export async function fetchPackage(nameOrPattern: string): Promise<string> {
  const store = path.join(cacheDirectory(), 'debian');
  const found = await newestCached(store, nameOrPattern);
  if (found !== undefined) return found;
  return withLock('apt', async () => {
    const again = await newestCached(store, nameOrPattern);
    if (again !== undefined) return again;
    try {
      return await downloadNewest(store, nameOrPattern);
    } catch (cause) {
      throw new Error(`cannot fetch the Debian package ${nameOrPattern}: ${lastLine(cause)}`, { cause });
    }
  });
}

// Installing.

async function missingPackages(names: readonly string[], options: PackageOptions): Promise<string[]> {
  const missing: string[] = [];
  for (const name of names) {
    const version = await installedVersion(name);
    const tooOld =
      version !== undefined &&
      options.minimumVersion !== undefined &&
      !(await versionAtLeast(version, options.minimumVersion));
    if (version === undefined || tooOld) missing.push(name);
  }
  return missing;
}

async function installedVersion(name: string): Promise<string | undefined> {
  try {
    const out = await run('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Version}', name]);
    const [status, version] = out.split(' ');
    return status === 'installed' ? version : undefined;
  } catch {
    return undefined; // dpkg-query fails for an unknown name, and without dpkg
  }
}

async function versionAtLeast(version: string, minimum: string): Promise<boolean> {
  return succeeds('dpkg', ['--compare-versions', version, 'ge', minimum]);
}

async function installPackages(
  names: readonly string[],
  options: PackageOptions,
  sudo: readonly string[],
): Promise<void> {
  const suite = options.suite === 'backports' ? await enableBackportsLocked(sudo) : options.suite;
  const known = await Promise.all(names.map(hasCandidate));
  if (known.includes(false)) await apt(sudo, ['update']);
  const target = suite === undefined ? [] : ['-t', suite];
  const install = ['install', '--yes', '--no-install-recommends', ...target, ...names];
  try {
    await apt(sudo, install);
  } catch {
    // The lists may be older than the mirror, which then no longer has the files they name.
    await apt(sudo, ['update']);
    await apt(sudo, install);
  }
}

async function apt(sudo: readonly string[], args: readonly string[]): Promise<string> {
  const command = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '--quiet'];
  command.push(...APT_OPTIONS, ...args);
  return afterHiccups(() => run(command[0] ?? 'env', command.slice(1), APT_TIMEOUT_MS));
}

/** Tries again, after longer and longer waits, while the failure is external and temporary. */
export async function afterHiccups<T>(
  action: () => Promise<T>,
  waitsMs: readonly number[] = TRANSIENT_WAITS_MS,
): Promise<T> {
  for (const waitMs of waitsMs) {
    try {
      return await action();
    } catch (error) {
      if (!TRANSIENT.test(`${(error as { stderr?: string }).stderr ?? ''}${(error as Error).message}`))
        throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
  return action();
}

/** What to put before a command to run it as root, or the sentence that says why that is not possible. */
async function rootPrefix(): Promise<string[] | string> {
  if (!(await succeeds('apt-get', ['--version']))) return 'this is not a Debian system (no apt-get)';
  if (process.getuid?.() === 0) return [];
  if (await succeeds('sudo', ['-n', 'true'])) return ['sudo', '-n'];
  return 'install them as root, or run this as root';
}

// Backports.

/** Returns the suite's name. */
async function enableBackportsLocked(sudo: readonly string[]): Promise<string> {
  const codename = await releaseCodename();
  const suite = `${codename}-backports`;
  let targets = await indexTargets();
  if (targets.some((it) => it.codename === suite)) return suite;
  if (!targets.some((it) => it.origin === 'Debian')) {
    await apt(sudo, ['update']); // a fresh machine: the origin is known only once the Release file is here
    targets = await indexTargets();
  }
  const own = targets.find(
    (it) => it.origin === 'Debian' && it.codename === codename && it.component === 'main',
  );
  if (own === undefined) throw new Error(`apt has no Debian ${codename} entry to copy`);
  const copy = copiedEntry(await readFile(own.file, 'utf8'), own, suite);
  const target = BACKPORTS_ENTRY + path.extname(own.file);
  await writeAsRoot(sudo, target, copy);
  try {
    // Only this entry, and the other lists are kept: a fraction of a full update.
    const only = ['-o', `Dir::Etc::sourcelist=${target}`, '-o', 'Dir::Etc::sourceparts=-'];
    await apt(sudo, ['update', ...only, '-o', 'APT::Get::List-Cleanup=0']);
  } catch (error) {
    await run(sudo[0] ?? 'rm', sudo.length > 0 ? [...sudo.slice(1), 'rm', '-f', target] : ['-f', target]);
    throw error;
  }
  return suite;
}

interface IndexTarget {
  readonly file: string;
  /** The stanza of a deb822 `.sources` file or the line of a `.list` file, from 1. */
  readonly entry: number;
  readonly origin: string;
  readonly codename: string;
  readonly component: string;
}

/**
 * The package lists apt is configured to have, each with the entry it comes from (apt-get(8), indextargets).
 */
async function indexTargets(): Promise<IndexTarget[]> {
  const format = '$(SOURCESENTRY)|$(ORIGIN)|$(CODENAME)|$(COMPONENT)';
  const out = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  return out.split('\n').flatMap((line) => {
    const [source = '', origin = '', codename = '', component = ''] = line.split('|');
    const colon = source.lastIndexOf(':');
    const entry = Number(source.slice(colon + 1));
    return colon > 0 && entry > 0
      ? [{ file: source.slice(0, colon), entry, origin, codename, component }]
      : [];
  });
}

/** The entry's text with its suite replaced; everything else (mirror, keyring, options) is the machine's. */
export function copiedEntry(
  text: string,
  own: { readonly file: string; readonly entry: number },
  suite: string,
): string {
  if (own.file.endsWith('.sources')) {
    const stanzas = text.split(/\n(?:[ \t]*\n)+/).filter((it) => /^[A-Za-z-]+:/m.test(it));
    const stanza = stanzas[own.entry - 1];
    if (stanza === undefined) throw new Error(`${own.file} has no stanza ${own.entry}`);
    return stanza.replace(/^Suites:.*(?:\n[ \t].*)*/im, `Suites: ${suite}`).trimEnd() + '\n';
  }
  const line = text.split('\n')[own.entry - 1] ?? '';
  const parts = /^(\s*deb\s+(?:\[[^\]]*\]\s+)?\S+\s+)\S+(\s.*)$/.exec(line);
  if (parts === null) throw new Error(`${own.file}:${own.entry} is not a deb entry`);
  return `${parts[1]}${suite}${parts[2]}\n`;
}

async function releaseCodename(): Promise<string> {
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1];
  if (codename === undefined) throw new Error('/etc/os-release names no VERSION_CODENAME');
  return codename;
}

async function writeAsRoot(sudo: readonly string[], file: string, text: string): Promise<void> {
  if (sudo.length === 0) return writeFile(file, text, { mode: 0o644 });
  const directory = await mkdtemp(path.join(tmpdir(), 'trapframe-'));
  try {
    await writeFile(path.join(directory, 'entry'), text);
    const args = ['install', '-m', '644', path.join(directory, 'entry'), file];
    await run(sudo[0] ?? 'sudo', [...sudo.slice(1), ...args]);
  } finally {
    await rm(directory, { recursive: true });
  }
}

// Fetching.

async function newestCached(store: string, pattern: string): Promise<string | undefined> {
  const entries = await readdir(store).catch(() => []); // not there before the first download
  const matches = entries.filter((it) => globExpression(pattern).test(it.split('_')[0] ?? ''));
  const newest = matches.sort(byNumbers).at(-1);
  return newest === undefined ? undefined : path.join(store, newest);
}

/**
 * Lists older than the mirror name files (for kernels whole packages) that it no longer has: then both are
 * fetched again.
 */
async function downloadNewest(store: string, pattern: string): Promise<string> {
  try {
    return await downloadInto(store, await resolveName(pattern));
  } catch (error) {
    const sudo = await rootPrefix();
    if (typeof sudo === 'string') throw error;
    await apt(sudo, ['update']);
    return downloadInto(store, await resolveName(pattern));
  }
}

async function resolveName(pattern: string): Promise<string> {
  let name = await newestCandidate(pattern);
  if (name === undefined) {
    const sudo = await rootPrefix();
    if (typeof sudo === 'string')
      throw new Error(`apt knows no package ${pattern}: run "apt-get update" as root`);
    await apt(sudo, ['update']);
    name = await newestCandidate(pattern);
  }
  if (name === undefined) throw new Error(`this machine's apt sources have no package ${pattern}`);
  return name;
}

async function newestCandidate(pattern: string): Promise<string | undefined> {
  const prefix = pattern.split('*')[0] ?? '';
  // apt-cache succeeds with no output when there are no lists.
  const names = (await run('apt-cache', ['pkgnames', prefix])).split('\n');
  const matches = names.filter((it) => globExpression(pattern).test(it)).sort(byNumbers);
  for (const name of matches.reverse()) {
    if (await hasCandidate(name)) return name; // pkgnames also lists names that only occur in dependencies
  }
  return undefined;
}

async function hasCandidate(name: string): Promise<boolean> {
  const policy = await run('apt-cache', ['policy', name]);
  return /^ {2}Candidate: (?!\(none\))/m.test(policy);
}

/**
 * Downloads and unpacks beside the final place, then renames: a directory in the store is always complete.
 */
async function downloadInto(store: string, name: string): Promise<string> {
  await mkdir(store, { recursive: true });
  const work = await mkdtemp(path.join(store, '.work-'));
  try {
    await download(name, work);
    const deb = (await readdir(work)).find((it) => it.endsWith('.deb'));
    if (deb === undefined) throw new Error(`apt-get download ${name} left no .deb file`);
    const unpacked = path.join(work, 'root');
    await run('dpkg-deb', ['-x', path.join(work, deb), unpacked], APT_TIMEOUT_MS);
    const final = path.join(store, deb.slice(0, -'.deb'.length));
    await rename(unpacked, final);
    return final;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function download(name: string, directory: string): Promise<void> {
  // As root, apt drops to the user _apt, which may not enter our cache: it warns and goes on as root. We say
  // so in advance.
  const options = [...APT_OPTIONS, '-o', 'APT::Sandbox::User=root'];
  const script = 'cd "$1" && shift && exec apt-get --quiet "$@"';
  const args = ['-c', script, 'sh', directory, ...options, 'download', name];
  await afterHiccups(() => run('sh', args, APT_TIMEOUT_MS));
}

// Helpers.

function globExpression(pattern: string): RegExp {
  const escaped = pattern.split('*').map((it) => it.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`);
}

function byNumbers(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

async function run(file: string, args: readonly string[], timeoutMs = 60_000): Promise<string> {
  const options = { timeout: timeoutMs, maxBuffer: 64 << 20, env: { ...process.env, LC_ALL: 'C.UTF-8' } };
  const { stdout } = await execFileAsync(file, args, options);
  return stdout;
}

async function succeeds(file: string, args: readonly string[]): Promise<boolean> {
  return run(file, args).then(
    () => true,
    () => false,
  );
}

/** The last line of a failed command's output, which for apt is the error ("E: …"). */
function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  const lines = (stderr ?? '').split('\n').filter((it) => it.trim() !== '');
  return lines.findLast((it) => it.startsWith('E:')) ?? lines.at(-1) ?? message;
}
