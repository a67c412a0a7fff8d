/** From a file to an open qcow2 image. One that was not closed in order is repaired first. */
import { QCOW2_MAX_CLUSTER_BITS } from '../../../abi/qcow2.ts';
import { quoted } from '../../../client/regularFile.ts';
import { UserError } from '../../../errors.ts';
import { CorruptError } from '../diskError.ts';
import { type DiskImage, SECTOR_BYTES } from '../diskImage.ts';
import type { ImageFile } from '../imageFile.ts';
import { rawHint } from '../imageSignature.ts';
import { isQcow2, parseHeader, type Qcow2Header, Qcow2HeaderError } from './header.ts';
import { Layout } from './layout.ts';
import { L2_CACHE_BYTES, Qcow2Image } from './qcow2Image.ts';
import { Refcounts } from './refcounts.ts';
import { rebuildRefcounts } from './repair.ts';
import { readSnapshotTable } from './snapshotTable.ts';

export interface OpenQcow2Options {
  readonly isReadOnly: boolean;
  readonly discards: boolean;
  readonly isUnsafe: boolean;
  readonly backing: DiskImage | undefined;
  /** Of L2 tables; 1 MiB when absent. */
  readonly cacheBytes?: number;
}

/** Throws UserError and DiskError. */
export function openQcow2(file: ImageFile, options: OpenQcow2Options): Qcow2Image {
  const header = readHeader(file);
  const name = quoted(file.path);
  const { isReadOnly } = options;
  if (header.isCorrupt && !isReadOnly)
    throw new UserError(
      `${name} is marked as corrupt: "vmm check" tells why; it can be read, and copied, read-only`,
    );
  if (header.sizeBytes % SECTOR_BYTES !== 0)
    throw new UserError(
      `${name} is a disk of ${header.sizeBytes} bytes, not of whole sectors of ${SECTOR_BYTES}`,
    );
  if (file.alignmentBytes > 2 ** header.clusterBits)
    throw new UserError(
      `${name} has clusters of ${2 ** header.clusterBits} bytes, and O_DIRECT needs ${file.alignmentBytes}: use cache "writeback"`,
    );
  if (!isReadOnly) assertSnapshots(file, header);
  const layout = new Layout(file, header, isReadOnly);
  const refcounts = new Refcounts(layout);
  if (header.isDirty && !isReadOnly) rebuildRefcounts(layout, refcounts);
  return new Qcow2Image(layout, refcounts, { cacheBytes: L2_CACHE_BYTES, ...options });
}

/** Without their table it is not known what snapshots hold. QEMU refuses such an image, too. */
function assertSnapshots(file: ImageFile, header: Qcow2Header): void {
  const { problem } = readSnapshotTable(file, header);
  if (problem !== undefined) throw new CorruptError(file.path, `its snapshot table ${problem}`);
}

/** Throws UserError and DiskError. */
export function readHeader(file: ImageFile): Qcow2Header {
  const sizeBytes = Math.min(file.sizeBytes(), 2 ** QCOW2_MAX_CLUSTER_BITS);
  const start = new Uint8Array(sizeBytes);
  file.read(start, 0);
  try {
    return parseHeader(start);
  } catch (cause) {
    if (!(cause instanceof Qcow2HeaderError)) throw cause;
    const hint = isQcow2(start) ? '' : rawHint(file);
    throw new UserError(`${quoted(file.path)} ${cause.message}${hint}`, { cause });
  }
}
