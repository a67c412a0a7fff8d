/**
 * A VMM that is killed while its guest (blkLoad) writes: all that was flushed is there, and
 * the image is sound. The host goes on, and its page cache with it: what a crash leaves is crashCuts.ts.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { emptyQcow2 } from '../../extension/language/server/createDisk.ts';
import { checkQcow2 } from '../../vmm-core/backends/disk/checkImage.ts';
import { SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import { attachImage, openImageFile } from '../../vmm-core/backends/disk/openImage.ts';
import { guest } from '../guests/build.ts';
import { seededRandom } from './bytes.ts';
import { VmmProcess } from './vmmProcess.ts';

const FORMATS = ['qcow2', 'raw'] as const;
type Format = (typeof FORMATS)[number];
const DISK_BYTES = 64 * 2 ** 20;
const WRITE_BYTES = 4096;
const PLACES = DISK_BYTES / WRITE_BYTES;
/** After so many the guest says that they are done. */
const BATCH = 32;
/** After the first batch. */
const MOST_MS = 400;

/** `dist/` is built. */
export async function killOne(seed: number): Promise<void> {
  const format = FORMATS[seed % FORMATS.length] ?? 'raw';
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-'));
  try {
    const file = newImage(folder, format);
    const done = await writeUntilKilled(folder, `${file},format=${format}`, seededRandom(seed)() * MOST_MS);
    assertSound(file, format);
    assertKept(file, format, done);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Returns how many writes the guest had flushed. */
async function writeUntilKilled(folder: string, disk: string, afterMs: number): Promise<number> {
  const place = 'scan=0xd0000000,0x1000,8';
  const work = `op=write bytes=${WRITE_BYTES} depth=${BATCH} count=${BATCH} step=next rounds=1000000`;
  const vmm = new VmmProcess(
    [
      ...['run', '--kernel', await guest('blkLoad'), '--memory', '32M', '--debug-exit', '--no-reboot'],
      ...['--disk', `${disk},transport=mmio`, '--cmdline', `${place} ${work}`],
    ],
    { env: { XDG_RUNTIME_DIR: folder } },
  );
  try {
    await vmm.printed('D');
    await delay(afterMs); // at any moment
  } finally {
    vmm.kill('SIGKILL');
  }
  const { stdout, signal } = await vmm.finished;
  assert.equal(signal, 'SIGKILL', `the guest ended by itself: ${stdout.slice(-100)}`);
  return [...stdout].filter((it) => it === 'D').length * BATCH;
}

function newImage(folder: string, format: Format): string {
  const file = path.join(folder, `disk.${format}`);
  writeFileSync(file, format === 'qcow2' ? emptyQcow2(DISK_BYTES) : '');
  if (format === 'raw') truncateSync(file, DISK_BYTES);
  return file;
}

// No locks are asked for here: io_uring lets go of a dead process's files a moment after its end.

/** Leaks are allowed: clusters that were about to be used. */
function assertSound(name: string, format: Format): void {
  if (format === 'raw') return;
  const file = openImageFile(name, format, { isReadOnly: true, isShared: true });
  const { errors, problems } = checkQcow2(file, { repairsLeaks: false });
  file.close();
  assert.equal(errors, 0, problems.join('; '));
}

/** Each sector has the number of the request that wrote it last, from 1, or of one that was under way. */
function assertKept(file: string, format: Format, done: number): void {
  const opened = { fd: openSync(file, 'r'), path: file, format, isReadOnly: true, alignmentBytes: 1 };
  const image = attachImage({ files: [opened], discards: false, isUnsafe: true });
  const bytes = new Uint8Array(WRITE_BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = Math.max(0, done - PLACES); i < done; i++) {
    image.read((i % PLACES) * WRITE_BYTES, bytes);
    for (let at = 0; at < WRITE_BYTES; at += SECTOR_BYTES) {
      const number = view.getUint32(at, true);
      const isKept = number > i && (number - 1 - i) % PLACES === 0;
      assert.ok(isKept, `sector ${at / SECTOR_BYTES} of request ${i + 1} of ${done} has ${number}`);
    }
  }
  image.close();
}
