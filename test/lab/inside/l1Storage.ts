/** What L1 keeps images on, where it can be full, slow or broken: by L1's own kernel and commands. */
import { execFile } from 'node:child_process';
import { mkdtemp, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { DISK } from './labProtocol.ts';

const SECTOR_BYTES = 512;
// When a test ends, its guest may still use what it was given: all of it goes as soon as it is free.

/** Throws with what the command printed. */
export async function l1(command: string, ...args: readonly string[]): Promise<string> {
  // No udev makes the nodes of the device mapper.
  const env = { ...process.env, DM_DISABLE_UDEV: '1' };
  const { stdout } = await promisify(execFile)(command, args, { env });
  return stdout.trim();
}

/** A file system of so few bytes that it can be filled. */
export class SmallFileSystem {
  readonly path: string;

  private constructor(mount: string) {
    this.path = mount;
  }

  /** Until the test ends. `size` as mount(8) takes it: 32M. */
  static async mount(t: TestContext, size: string): Promise<SmallFileSystem> {
    const mount = await mkdtemp('/tmp/small-');
    await l1('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'small', mount);
    t.after(() => l1('umount', '-l', mount));
    return new SmallFileSystem(mount);
  }

  async grow(size: string): Promise<void> {
    await l1('mount', '-o', `remount,size=${size}`, this.path);
  }
}

/** A block device whose bytes are a file's. */
export class LoopDevice {
  /** Of the file. */
  readonly file: string;
  /** Of the device: /dev/loop0. */
  readonly path: string;

  private constructor(file: string, device: string) {
    this.file = file;
    this.path = device;
  }

  /** Until the test ends. */
  static async make(t: TestContext, sizeBytes: number, ...options: readonly string[]): Promise<LoopDevice> {
    const file = path.join(await mkdtemp(path.join(DISK.mount, 'loop-')), 'blocks');
    await writeFile(file, '');
    await truncate(file, sizeBytes);
    const device = await l1('losetup', '-f');
    await l1('losetup', ...options, device, file);
    t.after(() => l1('losetup', '-d', device));
    return new LoopDevice(file, device);
  }

  async grow(sizeBytes: number): Promise<void> {
    await truncate(this.file, sizeBytes);
    await l1('losetup', '-c', this.path);
  }
}

let lastMapped = 0;

/** A block device that can stop answering, and fail: the device mapper's, in front of a loop device. */
export class TroubledDevice {
  readonly path: string;
  readonly #name: string;
  readonly #sectors: number;
  readonly #under: string;

  private constructor(name: string, sizeBytes: number, under: string) {
    this.#name = name;
    this.path = `/dev/mapper/${name}`;
    this.#sectors = sizeBytes / SECTOR_BYTES;
    this.#under = under;
  }

  /** Healthy, until the test ends. */
  static async make(t: TestContext, sizeBytes: number): Promise<TroubledDevice> {
    const { path: under } = await LoopDevice.make(t, sizeBytes);
    const name = `troubled${lastMapped++}`;
    const device = new TroubledDevice(name, sizeBytes, under);
    await l1('dmsetup', 'create', name, '--table', device.#healthy);
    t.after(() => l1('dmsetup', 'remove', '--deferred', name));
    return device;
  }

  /** Requests wait. */
  async stop(): Promise<void> {
    await l1('dmsetup', 'suspend', '--nolockfs', '--noflush', this.#name);
  }

  /** Those that wait are done. */
  async goOn(): Promise<void> {
    await l1('dmsetup', 'resume', this.#name);
  }

  /** Every request fails with EIO. */
  async fail(): Promise<void> {
    await this.#become(`0 ${this.#sectors} error`);
  }

  async heal(): Promise<void> {
    await this.#become(this.#healthy);
  }

  get #healthy(): string {
    return `0 ${this.#sectors} linear ${this.#under} 0`;
  }

  async #become(table: string): Promise<void> {
    await l1('dmsetup', 'load', this.#name, '--table', table);
    await l1('dmsetup', 'resume', this.#name);
  }
}
