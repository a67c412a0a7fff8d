/** What an image says of itself. */
import { fstatSync } from 'node:fs';
import type { HostFile } from './imageFile.ts';
import type { ImageFormat } from './openImage.ts';
import { readHeader } from './qcow2/openQcow2.ts';

/** `--json` of `vmm info`. Stable: scripts read it. */
export interface ImageInfo {
  readonly format: ImageFormat;
  readonly sizeBytes: number;
  /** What it takes of the host's disk. */
  readonly allocatedBytes: number;
  readonly qcow2?: Qcow2Info;
}

export interface Qcow2Info {
  readonly version: number;
  readonly clusterBytes: number;
  readonly refcountBits: number;
  readonly lazyRefcounts: boolean;
  readonly compression: string;
  readonly snapshots: number;
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly backing?: { readonly name: string; readonly format?: string };
}

const STAT_BLOCK_BYTES = 512; // stat(2), st_blocks

/** Throws UserError, DiskError. */
export function imageInfo(file: HostFile, format: ImageFormat): ImageInfo {
  const allocatedBytes = fstatSync(file.fd).blocks * STAT_BLOCK_BYTES;
  if (format === 'raw') return { format, sizeBytes: file.sizeBytes(), allocatedBytes };
  const header = readHeader(file);
  const { backing } = header;
  const qcow2: Qcow2Info = {
    version: header.version,
    clusterBytes: 2 ** header.clusterBits,
    refcountBits: 2 ** header.refcountOrder,
    lazyRefcounts: header.hasLazyRefcounts,
    compression: header.compression,
    snapshots: header.snapshots,
    dirty: header.isDirty,
    corrupt: header.isCorrupt,
    ...(backing === undefined ? {} : { backing: named(backing.name, backing.format) }),
  };
  return { format, sizeBytes: header.sizeBytes, allocatedBytes, qcow2 };
}

function named(name: string, format: string | undefined): NonNullable<Qcow2Info['backing']> {
  return format === undefined ? { name } : { name, format };
}
