import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as virtioVsock from '../../vmm-core/abi/virtioVsock.ts';
import {
  ask,
  type Claim,
  contradictions,
  isStruct,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['linux/virtio_vsock.h', 'sys/socket.h', 'linux/vm_sockets.h'];

test('virtio sockets are as <linux/virtio_vsock.h> says', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = Object.entries(virtioVsock).flatMap(([name, value]) =>
    isStruct(value) ? structClaims(value) : [enumClaim(name, value)],
  );
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
});

/** Most are in enumerations, which the preprocessor does not know. */
function enumClaim(name: string, value: number): Claim {
  return { name, value: BigInt(value), expression: name };
}
