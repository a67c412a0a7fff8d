/** XXH64 with seed 0 (xxHash specification 0.1.1), the checksum of zstd's frames. */

const PRIME_1 = 0x9e3779b185ebca87n;
const PRIME_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME_3 = 0x165667b19e3779f9n;
const PRIME_4 = 0x85ebca77c2b2ae63n;
const PRIME_5 = 0x27d4eb2f165667c5n;

const STRIPE_BYTES = 32;

export function xxHash64(data: Uint8Array): bigint {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const stripesEnd = data.length - (data.length % STRIPE_BYTES);
  let hash = stripesEnd === 0 ? PRIME_5 : ofStripes(view, stripesEnd);
  hash = u64(hash + BigInt(data.length));
  let at = stripesEnd;
  for (; at + 8 <= data.length; at += 8)
    hash = u64(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * PRIME_1 + PRIME_4);
  if (at + 4 <= data.length) {
    hash = u64(rotate(hash ^ u64(BigInt(view.getUint32(at, true)) * PRIME_1), 23n) * PRIME_2 + PRIME_3);
    at += 4;
  }
  for (; at < data.length; at++)
    hash = u64(rotate(hash ^ u64(BigInt(view.getUint8(at)) * PRIME_5), 11n) * PRIME_1);
  return avalanche(hash);
}

/**
 * Steps 2 and 3: four lanes take 8 bytes each of every stripe. u64() around each operation lets V8 compute
 * without allocating.
 */
function ofStripes(view: DataView, end: number): bigint {
  let lane1 = u64(PRIME_1 + PRIME_2);
  let lane2 = PRIME_2;
  let lane3 = 0n;
  let lane4 = u64(-PRIME_1);
  for (let at = 0; at < end; at += STRIPE_BYTES) {
    lane1 = round(lane1, view.getBigUint64(at, true));
    lane2 = round(lane2, view.getBigUint64(at + 8, true));
    lane3 = round(lane3, view.getBigUint64(at + 16, true));
    lane4 = round(lane4, view.getBigUint64(at + 24, true));
  }
  let hash = u64(rotate(lane1, 1n) + rotate(lane2, 7n) + rotate(lane3, 12n) + rotate(lane4, 18n));
  for (const lane of [lane1, lane2, lane3, lane4]) hash = u64((hash ^ round(0n, lane)) * PRIME_1 + PRIME_4);
  return hash;
}

function round(lane: bigint, input: bigint): bigint {
  return u64(rotate(u64(lane + u64(input * PRIME_2)), 31n) * PRIME_1);
}

function avalanche(hash: bigint): bigint {
  hash = u64((hash ^ (hash >> 33n)) * PRIME_2);
  hash = u64((hash ^ (hash >> 29n)) * PRIME_3);
  return hash ^ (hash >> 32n);
}

function rotate(value: bigint, by: bigint): bigint {
  return u64(u64(value << by) | (value >> (64n - by)));
}

function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
