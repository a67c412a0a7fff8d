import assert from 'node:assert/strict';
import { deflateRawSync } from 'node:zlib';
import { it } from 'node:test';
import { seededRandom } from '../../../../test/support/bytes.ts';
import { packCluster, unpackCluster, unpackClusterAhead } from './unpack.ts';

const CLUSTER = new Uint8Array(4096).map((_, index) => index >> 4);
/** 4096 zeros, by zstd(1). */
const ZSTD_ZEROS = Buffer.from('28b52ffd04584d00001000000100fbf70116dbbbd832', 'hex');

it('what was packed is unpacked, whatever fills its last sector', async () => {
  const packed = await packCluster(CLUSTER);
  assert.ok(packed !== undefined && packed.length < CLUSTER.length);
  const padded = new Uint8Array(packed.length + 300).fill(0xee);
  padded.set(packed);
  assert.deepEqual(unpackCluster(padded, 'zlib', 4096), Buffer.from(CLUSTER));
  assert.deepEqual(await unpackClusterAhead(padded, 'zlib', 4096), Buffer.from(CLUSTER));
});

it('what does not become smaller is not packed', async () => {
  const random = seededRandom(1);
  const noise = new Uint8Array(4096).map(() => random() * 256);
  assert.equal(await packCluster(noise), undefined);
});

it('more or less than a cluster is an error, and takes no more memory', async () => {
  const much = deflateRawSync(new Uint8Array(1 << 24));
  const little = deflateRawSync(new Uint8Array(100));
  await assert.rejects(unpackClusterAhead(much, 'zlib', 4096));
  await assert.rejects(unpackClusterAhead(little, 'zlib', 4096), /unpacks to 100 bytes/);
  assert.throws(() => unpackCluster(much, 'zlib', 4096));
  assert.throws(() => unpackCluster(little, 'zlib', 4096), /unpacks to 100 bytes/);
  assert.throws(() => unpackCluster(new Uint8Array(512).fill(0xff), 'zlib', 4096));
});

it('a zstd frame may be followed by anything, and asks for no large window', async () => {
  const padded = new Uint8Array(512).fill(0xee);
  padded.set(ZSTD_ZEROS);
  assert.deepEqual(unpackCluster(padded, 'zstd', 4096), new Uint8Array(4096));
  assert.deepEqual(await unpackClusterAhead(padded, 'zstd', 4096), new Uint8Array(4096));
  padded[5] = 0xff; // Window_Descriptor
  assert.throws(() => unpackCluster(padded, 'zstd', 4096), /a window of \d+ bytes/);
  assert.throws(() => unpackCluster(new Uint8Array(512), 'zstd', 4096), /no zstd frame/);
});
