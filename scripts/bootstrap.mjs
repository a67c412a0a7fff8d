// What runs before node_modules exists: `node scripts/bootstrap.mjs scripts/test.ts kvm` installs the locked dependencies
// when they are missing or out of date, then runs that file with the rest of the arguments. Plain JavaScript, Node's modules only.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const MINIMUM_NODE = 20;

/** Packages of a lock file that this machine must have; optional ones depend on the platform. */
function lockedVersions(file) {
  const { packages } = JSON.parse(readFileSync(path.join(ROOT, file), 'utf8'));
  return new Map(Object.entries(packages).filter(([name, it]) => name !== '' && !it.optional && !it.link));
}

function dependenciesAreCurrent() {
  const installedLock = 'node_modules/.package-lock.json'; // npm's own record of what it installed
  if (!existsSync(path.join(ROOT, installedLock))) return false;
  const installed = lockedVersions(installedLock);
  return [...lockedVersions('package-lock.json')].every(
    ([name, { version }]) => installed.get(name)?.version === version && existsSync(path.join(ROOT, name)),
  );
}

function installDependencies() {
  console.log('installing the locked npm packages (npm ci) …');
  const result = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.status === 0) return;
  console.error('npm ci failed: see above; it needs npm and a reachable npm registry');
  process.exit(1);
}

function main([file, ...args]) {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < MINIMUM_NODE) {
    console.error(`Node ${MINIMUM_NODE} or newer is needed; this is ${process.version}`);
    process.exit(1);
  }
  if (file === undefined || !existsSync(path.join(ROOT, file))) {
    console.error(`usage: node scripts/bootstrap.mjs FILE.ts [ARGUMENT…]; there is no ${file ?? 'FILE'}`);
    process.exit(1);
  }
  if (!dependenciesAreCurrent()) installDependencies();
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], { cwd: ROOT, stdio: 'inherit' });
  // A terminal's Ctrl-C reaches the child by itself; a signal sent to us alone must be passed on.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

main(process.argv.slice(2));
