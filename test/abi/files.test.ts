import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as files from '../../vmm-core/abi/files.ts';
import * as ninep from '../../vmm-core/abi/ninep.ts';
import {
  ask,
  type Claim,
  contradictions,
  isStruct,
  macroClaim,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['linux/fcntl.h', 'linux/stat.h', 'asm/statfs.h'];

/** Members of structs in a struct. */
const STATX_NESTED = {
  stx_atime: 'stx_atime.tv_sec',
  stx_ctime: 'stx_ctime.tv_sec',
  stx_mtime: 'stx_mtime.tv_sec',
};
/** Left to the C library's <sys/stat.h>, where there is one. */
const IN_LIBC = /^(UTIME|S)_/;

function claimsOf(table: Readonly<Record<string, unknown>>): Claim[] {
  return Object.entries(table)
    .filter(([name]) => !IN_LIBC.test(name))
    .flatMap(([name, value]) => {
      if (isStruct(value)) return structClaims(value, value.name === 'statx' ? STATX_NESTED : {});
      if (typeof value !== 'number') throw new Error(`${name} is not a number: teach this test`);
      return [{ ...macroClaim(name, value), expression: `(unsigned long long)(${name})` }];
    });
}

test("our table of files has the C library's kinds of files", async (t) => {
  const headers = ['fcntl.h', 'sys/stat.h'];
  const unavailable = await oracleUnavailable(headers);
  if (unavailable !== undefined) return t.skip(unavailable);
  const names = Object.entries(files).filter(([name]) => IN_LIBC.test(name));
  const claims = names.map(([name, value]) => macroClaim(name, Number(value)));
  const answers = await ask(headers, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
});

test("our table of files has the layouts and numbers of Linux's headers", async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = claimsOf(files).map((it) => ({ ...it, value: BigInt.asUintN(64, it.value) }));
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
});

test('the device of 9P is as <linux/virtio_9p.h> says, and opening flags are the numbers of x86-64', async (t) => {
  const headers = ['linux/virtio_9p.h', 'linux/fcntl.h'];
  const unavailable = await oracleUnavailable(headers);
  if (unavailable !== undefined) return t.skip(unavailable);
  const flags = Object.entries(ninep).filter(([name]) => /^P9_DOTL_/.test(name));
  const claims = [
    macroClaim('VIRTIO_9P_MOUNT_TAG', ninep.VIRTIO_9P_MOUNT_TAG),
    {
      name: 'VIRTIO_9P_CONFIG_TAG',
      value: BigInt(ninep.VIRTIO_9P_CONFIG_TAG),
      expression: 'offsetof(struct virtio_9p_config, tag)',
    },
    ...flags.map(([name, value]) => macroClaim(name, Number(value), hostNameOf(name))),
  ];
  const answers = await ask(headers, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
});

function hostNameOf(name: string): string {
  const short = name.replace('P9_DOTL_', '');
  if (short === 'SYNC') return '__O_SYNC';
  return short.startsWith('AT_') ? short : `O_${short}`;
}
