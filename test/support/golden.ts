/**
 * Expected output kept in files beside the tests. UPDATE_GOLDEN=1 writes what is, for the diff to be read
 * before it is committed.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export function assertGolden(file: string, actual: string): void {
  if (process.env.UPDATE_GOLDEN === '1') {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, actual);
    return;
  }
  assert.equal(
    actual,
    readFileSync(file, 'utf8'),
    `${path.basename(file)} differs; UPDATE_GOLDEN=1 writes what is`,
  );
}
