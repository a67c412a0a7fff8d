/** Images that the bench measures with. */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PIECE_BYTES = 1 << 20;

/** Full of data, or of zeros that are written. */
export function writeRawDisk(file: string, sizeBytes: number, content: 'data' | 'zeros' = 'data'): void {
  const fd = openSync(file, 'w');
  const piece = Buffer.alloc(PIECE_BYTES, content === 'data' ? 'trapframe' : 0);
  for (let written = 0; written < sizeBytes; written += piece.length) writeSync(fd, piece);
  closeSync(fd);
}

/** Removed with all that is in it. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-bench-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
