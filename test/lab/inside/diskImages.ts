/** Images of guests in L1, made, looked at and booted by our own commands. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { bootWithDisks, type DiskGuest, type DiskGuestOptions, reasonToSkip } from './diskGuest.ts';
import { DISK } from './labProtocol.ts';
import { VMM } from './vmmRun.ts';

/** For whatever moves all of a disk; an idle machine needs a tenth of it. */
export const LONG_MS = 600_000;

export function reasonToSkipDisks(): string | false {
  return reasonToSkip(DISK.root);
}

/** Throws with all that it printed, and its exit code as `code`. */
export async function vmm(...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [VMM, ...args], { timeout: LONG_MS });
    return stdout;
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
    const text = `vmm ${args.join(' ')}: exit code ${String(code)}\n${stdout ?? ''}${stderr ?? ''}`;
    throw Object.assign(new Error(text, { cause: error }), { code });
  }
}

/** A folder on L1's disk. */
export class ImageFolder {
  readonly #path: string;
  #count = 0;

  private constructor(folder: string) {
    this.#path = folder;
  }

  static async make(): Promise<ImageFolder> {
    return new ImageFolder(await mkdtemp(path.join(DISK.mount, 'test-')));
  }

  /** A new raw image, without a process of its own. */
  async zeros(sizeBytes: number): Promise<string> {
    const file = path.join(this.#path, `${this.#count++}.raw`);
    await writeFile(file, '');
    await truncate(file, sizeBytes);
    return file;
  }

  /** A new image of a format; of the root when no size is given. */
  async image(format: 'raw' | 'qcow2', size?: string): Promise<string> {
    const file = path.join(this.#path, `${this.#count++}.${format}`);
    const source = size === undefined ? ['-i', `raw:${DISK.root}`] : ['-s', size];
    await vmm('create', ...source, `${format}:${file}`);
    return file;
  }

  async remove(): Promise<void> {
    await rm(this.#path, { recursive: true });
  }
}

/** Ready for commands; killed when the test ends. */
export async function boot(
  t: TestContext,
  disks: readonly string[],
  options?: DiskGuestOptions,
): Promise<DiskGuest> {
  const guest = bootWithDisks(disks, options);
  t.after(() => guest.kill());
  await guest.ready();
  return guest;
}

/** Throws when an image is damaged; leaks are none either after an orderly end. */
export async function check(...images: readonly string[]): Promise<void> {
  for (const it of images) await vmm('check', it);
}

export async function allocatedBytes(file: string): Promise<number> {
  return (await stat(file)).blocks * 512;
}
