import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, it } from 'node:test';
import { seededRandom } from '../../../test/support/bytes.ts';
import { diskBytes, inFolder, openDisk } from '../../../test/support/diskFiles.ts';
import { Chances } from '../../../test/support/chances.ts';
import { RecordedFile } from '../../../test/support/recordedFile.ts';
import { EAGAIN, EINTR, EIO, ENOSPC } from '../../kvm/errno.ts';
import { type Fault, injectFaults, type IoRequest } from '../../kvm/io/faults.ts';
import { checkQcow2 } from './checkImage.ts';
import { createImage } from './createImage.ts';
import { DiskError } from './diskError.ts';

const SIZE_BYTES = 1 << 20;
const ROUNDS = 150;

afterEach(() => injectFaults(undefined));

it('short transfers, EINTR and EAGAIN go unnoticed', () => {
  work(3, (request, chances) => {
    if (request.call !== 'read' && request.call !== 'write') return undefined;
    if (chances.chance(0.2)) return { errno: chances.of([EINTR, EAGAIN]) };
    return chances.chance(0.3) ? { shortBytes: 1 + chances.below(request.lengthBytes) } : undefined;
  });
});

it('a write or a read that fails is an error of its own, and the image stays valid', () => {
  const failed = work(4, ({ call }, chances) =>
    call !== 'sync' && chances.chance(0.05) ? { errno: chances.of([EIO, ENOSPC]) } : undefined,
  );
  assert.ok(failed > 0);
});

it('a sync that failed fails from then on: what it lost may be lost for good', () => {
  inFolder((folder) => {
    const file = path.join(folder, 'disk.qcow2');
    createImage(file, { format: 'qcow2', sizeBytes: SIZE_BYTES });
    const image = openDisk(file, 'qcow2');
    image.write(0, new Uint8Array(512).fill(1));
    let syncs = 0;
    injectFaults({
      before: ({ call }) => (call === 'sync' && syncs++ === 0 ? { errno: EIO } : undefined),
      after: () => undefined,
    });
    for (let round = 0; round < 2; round++) assert.throws(() => image.flush(), /sync failed: EIO/);
    assert.equal(syncs, 1);
    assert.throws(() => image.close(), DiskError);
  });
});

/** Seeded writes with faults; in the end the disk has what was written. Returns how many failed. */
function work(seed: number, fault: (request: IoRequest, chances: Chances) => Fault | undefined): number {
  return inFolder((folder) => {
    const file = path.join(folder, 'disk.qcow2');
    createImage(file, { format: 'qcow2', sizeBytes: SIZE_BYTES, qcow2: { clusterBytes: 1024 } });
    const chances = new Chances(seededRandom(seed));
    const image = openDisk(file, 'qcow2');
    const expected = new Uint8Array(SIZE_BYTES);
    let failed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const offset = 512 * chances.below(SIZE_BYTES / 512 - 16);
      const bytes = new Uint8Array(512 * (1 + chances.below(16))).fill(1 + chances.below(255));
      injectFaults({ before: (request) => fault(request, chances), after: () => undefined });
      const isDone = attempt(() => {
        image.write(offset, bytes);
        if (chances.chance(0.1)) image.flush();
      });
      injectFaults(undefined);
      if (!isDone) failed++;
      // what failed may be there in part: the guest writes it again
      image.write(offset, bytes);
      expected.set(bytes, offset);
    }
    assert.deepEqual(diskBytes(image), expected);
    image.close();
    const report = checkQcow2(new RecordedFile(readFileSync(file)), { repairsLeaks: false });
    assert.deepEqual([report.errors, report.leaks, report.problems], [0, 0, []]);
    return failed;
  });
}

/** False: it failed as the host's disk may. */
function attempt(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return false;
  }
}
