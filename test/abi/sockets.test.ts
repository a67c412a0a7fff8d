import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as epoll from '../../vmm-core/abi/epoll.ts';
import * as inet from '../../vmm-core/abi/inet.ts';
import * as memfd from '../../vmm-core/abi/memfd.ts';
import * as socket from '../../vmm-core/abi/socket.ts';
import * as tun from '../../vmm-core/abi/tun.ts';
import * as vhost from '../../vmm-core/abi/vhost.ts';
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

const HEADERS = [
  ...['sys/epoll.h', 'sys/socket.h', 'sys/un.h', 'netinet/in.h', 'netinet/tcp.h', 'asm/ioctls.h'],
  ...['linux/errqueue.h', 'linux/sockios.h', 'linux/if.h', 'linux/ipv6.h', 'linux/if_tun.h'],
  ...['linux/memfd.h', 'linux/fcntl.h', 'linux/vhost.h'],
];

/** Tables of offsets and sizes, and whose they are. */
const OFFSETS: Readonly<Record<string, string>> = {
  EPOLL_EVENT: 'struct epoll_event',
  MSGHDR: 'struct msghdr',
  SOCKADDR_IN: 'struct sockaddr_in',
  SOCKADDR_IN6: 'struct sockaddr_in6',
};
/** What has no name in a header, in C. */
const EXPRESSIONS: Readonly<Record<string, string>> = {
  EPOLL_EVENT_BYTES: 'sizeof(struct epoll_event)',
  MSGHDR_BYTES: 'sizeof(struct msghdr)',
  SOCKADDR_IN_BYTES: 'sizeof(struct sockaddr_in)',
  SOCKADDR_IN6_BYTES: 'sizeof(struct sockaddr_in6)',
  SOCKADDR_UN_PATH: 'offsetof(struct sockaddr_un, sun_path)',
  SOCKADDR_UN_PATH_BYTES: 'sizeof(((struct sockaddr_un *)0)->sun_path)',
  SOCKADDR_STORAGE_BYTES: 'sizeof(struct sockaddr_storage)',
  IFREQ_SOCKADDR: 'offsetof(struct ifreq, ifr_addr)',
  SOCKADDR_DATA: 'offsetof(struct sockaddr, sa_data)',
};
/** Linux 6.2; the installed headers may be older. */
const NEWER_THAN_6_1 = new Set(['TUN_F_USO4', 'TUN_F_USO6']);

function claimsOf([name, value]: [string, unknown]): Claim[] {
  if (isStruct(value)) return structClaims(value);
  const cType = OFFSETS[name];
  if (cType !== undefined) return offsetClaims(cType, value as Readonly<Record<string, number>>);
  if (typeof value !== 'number') throw new Error(`abi/ exports ${name}: teach this test`);
  const expression = EXPRESSIONS[name];
  return [expression === undefined ? macroClaim(name, value) : { name, value: BigInt(value), expression }];
}

test('sockets, epoll, taps and vhost are as the headers say', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = [epoll, inet, memfd, socket, tun, vhost].flatMap((it) =>
    Object.entries(it).flatMap(claimsOf),
  );
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(
    unknownToHeaders(claims, answers).filter((it) => !NEWER_THAN_6_1.has(it)),
    [],
  );
  t.diagnostic(`${claims.length} compared`);
});
