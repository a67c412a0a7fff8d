import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as virtioNet from '../../vmm-core/abi/virtioNet.ts';
import * as virtioNetHdr from '../../vmm-core/abi/virtioNetHdr.ts';
import {
  ask,
  contradictions,
  isStruct,
  macroClaim,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['linux/if_ether.h', 'linux/virtio_net.h'];
/** Ours ends where the features end that we have. */
const SHORTER = 'sizeof(struct virtio_net_config)';
const NEWER_THAN_6_1 = [
  'VIRTIO_NET_F_GUEST_USO4',
  'VIRTIO_NET_F_GUEST_USO6',
  'VIRTIO_NET_F_HOST_USO',
  'VIRTIO_NET_HDR_GSO_UDP_L4',
];

test('virtio network devices are as <linux/virtio_net.h> says', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = Object.entries({ ...virtioNet, ...virtioNetHdr })
    .flatMap(([name, value]) => (isStruct(value) ? structClaims(value) : [macroClaim(name, value)]))
    .filter(({ expression }) => expression !== SHORTER);
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(
    unknownToHeaders(claims, answers).filter((it) => !NEWER_THAN_6_1.includes(it)),
    [],
  );
});
