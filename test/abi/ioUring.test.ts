import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as ioUring from '../../vmm-core/abi/ioUring.ts';
import {
  ask,
  type Claim,
  contradictions,
  isStruct,
  macroClaim,
  offsetClaims,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['linux/io_uring.h', 'linux/time_types.h', 'asm/unistd.h'];

/** What we say flat, and what the headers of Linux 6.1 call otherwise. */
const NESTED: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(ioUring.IoUringParams.fields).flatMap((name) => {
    const [, ring, field] = /^([sc]q_off)_(.*)$/.exec(name) ?? [];
    return field === undefined ? [] : [[name, `${ring}.${field === 'user_addr' ? 'resv2' : field}`]];
  }),
);
const RENAMED: Readonly<Record<string, string>> = {
  SYS_io_uring_setup: '__NR_io_uring_setup',
  SYS_io_uring_enter: '__NR_io_uring_enter',
};
/** Newer than Linux 6.1. */
const NEWER_THAN_6_1 = new Set(['IORING_SETUP_NO_MMAP']);

function claimsOf(name: string, value: unknown): Claim[] {
  if (isStruct(value)) return structClaims(value, NESTED);
  if (name === 'IO_URING_SQE') return offsetClaims('struct io_uring_sqe', ioUring.IO_URING_SQE);
  if (name === 'IO_URING_CQE') return offsetClaims('struct io_uring_cqe', ioUring.IO_URING_CQE);
  if (name === 'IORING_OP')
    return Object.entries(ioUring.IORING_OP).map(([key, number]) => enumClaim(`IORING_OP_${key}`, number));
  if (typeof value !== 'number') throw new Error(`abi/ioUring.ts exports ${name}: teach this test`);
  const sizeOf = /^IO_URING_([SC]QE)_BYTES$/.exec(name)?.[1]?.toLowerCase();
  if (sizeOf !== undefined)
    return [{ name, value: BigInt(value), expression: `sizeof(struct io_uring_${sizeOf})` }];
  return [macroClaim(name, value, RENAMED[name])];
}

function enumClaim(name: string, value: number): Claim {
  return { name, value: BigInt(value), expression: name };
}

test('the io_uring API is laid out as <linux/io_uring.h> says', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = Object.entries(ioUring).flatMap(([name, value]) => claimsOf(name, value));
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(
    unknownToHeaders(claims, answers).filter((it) => !NEWER_THAN_6_1.has(it)),
    [],
  );
  t.diagnostic(`${claims.length} compared`);
});
