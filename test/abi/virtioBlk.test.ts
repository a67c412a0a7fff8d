import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as virtioBlk from '../../vmm-core/abi/virtioBlk.ts';
import {
  ask,
  contradictions,
  isStruct,
  macroClaim,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['linux/virtio_blk.h'];

test('virtio block devices are as <linux/virtio_blk.h> says', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = Object.entries(virtioBlk).flatMap(([name, value]) =>
    isStruct(value) ? structClaims(value) : [macroClaim(name, value)],
  );
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
});
