/**
 * The directory where tests, benches and the demo keep what is expensive to get, and the locks that guard it.
 */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

/** `trapframe` in $TRAPFRAME_CACHE, $XDG_CACHE_HOME or ~/.cache, the first that is set. Not created here. */
export function cacheDirectory(): string {
  const explicit = process.env['TRAPFRAME_CACHE'];
  const xdg = process.env['XDG_CACHE_HOME'];
  const base = [explicit, xdg].find((it) => it !== undefined && it !== '') ?? path.join(homedir(), '.cache');
  return path.resolve(base, 'trapframe');
}

/**
 * Runs `action` while holding `<cache>/<name>.lock`. The lock is flock(1)'s, held by a child whose stdin we
 * own, so it is released however this process ends.
 */
export async function withLock<T>(name: string, action: () => Promise<T>): Promise<T> {
  await mkdir(cacheDirectory(), { recursive: true });
  const file = path.join(cacheDirectory(), `${name}.lock`);
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', (error) =>
        reject(new Error('cannot run flock(1) of util-linux', { cause: error })),
      );
      holder.once('exit', (code) => reject(new Error(`flock(1) on ${file} ended with code ${code}`)));
      holder.stdout.once('data', () => resolve());
    });
    return await action();
  } finally {
    holder.stdin.end();
    await exited;
  }
}
