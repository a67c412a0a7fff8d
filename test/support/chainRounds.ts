/**
 * Seeded chains of images that QEMU made, of any formats, sizes and clusters, with holes, zeros, discards and
 * compressed clusters in each: copied and committed by us, and then the same to QEMU as before.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { commitImage } from '../../vmm-core/backends/disk/commitImage.ts';
import { copyImage } from '../../vmm-core/backends/disk/copyImage.ts';
import { createImage } from '../../vmm-core/backends/disk/createImage.ts';
import { SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import { attachLayers, type ImageFormat, openImage } from '../../vmm-core/backends/disk/openImage.ts';
import { Qcow2Image } from '../../vmm-core/backends/disk/qcow2/qcow2Image.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { inFolderAsync, openDisk, PLAIN } from './diskFiles.ts';
import { assertSameDisk, mustQemuImg, qemuCheck, qemuIo } from './qemuImg.ts';

const MAX_BYTES = 12 << 20;
const MAX_WORK_BYTES = 1 << 20;
const WORK = 24;
const CLUSTERS_OF_QEMU = [2048, 4096, 65536, 65536, 2 ** 21];
const CLUSTERS = [512, ...CLUSTERS_OF_QEMU];

interface Link {
  readonly file: string;
  readonly format: ImageFormat;
}

export function chainRound(seed: number): Promise<void> {
  return inFolderAsync(async (folder) => {
    const chances = new Chances(seededRandom(seed));
    const chain = makeChain(folder, chances);
    const top = chain.at(-1);
    assert.ok(top !== undefined);
    const expected = path.join(folder, 'expected.raw');
    mustQemuImg('convert', '-f', top.format, '-O', 'raw', top.file, expected);
    await copyOnce(top, expected, path.join(folder, 'copy'), chances);
    const base = chain.at(-2);
    if (base !== undefined) await commitOnce(top, base, expected);
  });
}

/** The base first. */
function makeChain(folder: string, chances: Chances): Link[] {
  const chain: Link[] = [];
  const length = 1 + chances.below(3);
  while (chain.length < length) {
    const below = chain.at(-1);
    const format = below === undefined ? chances.of<ImageFormat>(['raw', 'qcow2']) : 'qcow2';
    const link = { file: path.join(folder, `${chain.length}.${format}`), format };
    const sizeBytes = SECTOR_BYTES * (1 + chances.below(MAX_BYTES / SECTOR_BYTES));
    makeLink(link, below, sizeBytes, chances);
    chain.push(link);
  }
  return chain;
}

function makeLink(
  { file, format }: Link,
  below: Link | undefined,
  sizeBytes: number,
  chances: Chances,
): void {
  const clusterBytes = chances.of(CLUSTERS_OF_QEMU);
  const version = chances.of(['compat=0.10', 'compat=1.1', 'compat=1.1,compression_type=zstd']);
  const options = format === 'raw' ? [] : ['-o', `${version},cluster_size=${clusterBytes}`];
  const backing = below === undefined ? [] : ['-b', below.file, '-F', below.format];
  mustQemuImg('create', '-f', format, ...options, ...backing, file, String(sizeBytes));
  const work = Array.from({ length: WORK }, () => workOf(format, clusterBytes, sizeBytes, chances));
  // QEMU breaks its images when clusters are compressed after others were discarded
  const inOrder = [...work.filter(isPacking), ...work.filter((it) => !isPacking(it))];
  qemuIo('-d', 'unmap', '-f', format, ...inOrder.flatMap((it) => ['-c', it]), file);
}

/** A command of qemu-io. Each byte tells by its value which one it is of. */
function workOf(format: ImageFormat, clusterBytes: number, sizeBytes: number, chances: Chances): string {
  const unit = chances.chance(0.5) ? SECTOR_BYTES : clusterBytes;
  const at = Math.floor(chances.below(sizeBytes) / unit) * unit;
  const wanted = SECTOR_BYTES + unit * chances.below(1 + MAX_WORK_BYTES / unit);
  const length = Math.min(sizeBytes - at, Math.ceil(wanted / unit) * unit);
  const pattern = 1 + chances.below(255);
  const kind = chances.random();
  if (kind < 0.2 && format === 'qcow2') {
    const cluster = Math.floor(at / clusterBytes) * clusterBytes;
    return `write -c -P ${pattern} ${cluster} ${Math.min(clusterBytes, sizeBytes - cluster)}`;
  }
  if (kind < 0.35) return `write -z ${chances.chance(0.5) ? '-u ' : ''}${at} ${length}`;
  if (kind < 0.45) return `discard ${at} ${length}`;
  return `write -P ${chances.chance(0.1) ? 0 : pattern} ${at} ${length}`;
}

function isPacking(command: string): boolean {
  return command.startsWith('write -c');
}

async function copyOnce(from: Link, expected: string, to: string, chances: Chances): Promise<void> {
  const format = chances.of<ImageFormat>(['raw', 'qcow2', 'qcow2']);
  const clusterBytes = chances.of(CLUSTERS);
  const source = openDisk(from.file, from.format, { isReadOnly: true, backing: 'beside' });
  createImage(to, { format, sizeBytes: source.sizeBytes, qcow2: { clusterBytes } });
  const target = openDisk(to, format);
  await copyImage(source, target, { compresses: format === 'qcow2' && chances.chance(0.4) });
  for (const it of [source, target]) it.close();
  assertSameDisk(to, format, expected);
  if (format === 'qcow2') assertSound(to);
}

async function commitOnce(top: Link, base: Link, expected: string): Promise<void> {
  const options = { ...PLAIN, isReadOnly: false, backing: 'beside', writesBacking: true } as const;
  const layers = attachLayers(openImage({ ...options, path: top.file, format: top.format }));
  const [image, below] = layers;
  assert.ok(image instanceof Qcow2Image && below !== undefined);
  await commitImage(image, below);
  image.close();
  for (const { file, format } of [top, base]) if (format === 'qcow2') assertSound(file);
  assertSameDisk(top.file, 'qcow2', expected);
  // a base that was larger keeps what it had behind
  const committed = `${base.file}.raw`;
  mustQemuImg('convert', '-f', base.format, '-O', 'raw', base.file, committed);
  const bytes = readFileSync(expected);
  assert.ok(readFileSync(committed).subarray(0, bytes.length).equals(bytes), 'the base differs');
}

function assertSound(image: string): void {
  const { status, output } = qemuCheck(image);
  assert.equal(status, 0, output);
}
