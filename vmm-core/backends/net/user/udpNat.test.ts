import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, test, type TestContext } from 'node:test';
import { ethernet, ip, ip4, ip6, udp, UDP, withChecksum } from '../../../../test/support/rawPackets.ts';
import {
  DNS,
  DNS6,
  GATEWAY_MAC,
  GUEST,
  GUEST6,
  GUEST_MAC,
  HOST,
  HOST6,
  UserGuest,
} from '../../../../test/support/userGuest.ts';
import { IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_DONT, IPPROTO_IP } from '../../../abi/inet.ts';
import { EAGAIN, EMFILE, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, EPERM } from '../../../kvm/errno.ts';
import { injectFaults, type IoRequest } from '../../../kvm/io/faults.ts';
import { getOption } from '../../../kvm/net/sockets.ts';
import { MAX_MAPPINGS, ONE_WAY_MS } from './udpNat.ts';

const closing: (() => void)[] = [];
after(() => {
  for (const it of closing) it();
});

/** Sends back what it is sent. */
async function echo(type: 'udp4' | 'udp6' = 'udp4'): Promise<Socket & { seenPort: number }> {
  const socket = Object.assign(createSocket(type), { seenPort: 0 });
  socket.on('message', (bytes, { address, port }) => {
    socket.seenPort = port;
    socket.send(bytes, port, address);
  });
  socket.bind(0, type === 'udp4' ? '127.0.0.1' : '::1');
  await once(socket, 'listening');
  closing.push(() => socket.close());
  return socket;
}

function guest(options?: ConstructorParameters<typeof UserGuest>[0]): UserGuest {
  const it = new UserGuest(options);
  closing.push(() => it.close());
  return it;
}

const HELLO = Buffer.from('hello');

test('a datagram to the virtual host reaches its loopback, and the answer is from the virtual host', async () => {
  const server = await echo();
  const it = guest();
  it.sendUdp(GUEST, 5000, HOST, server.address().port, HELLO);
  const answer = await it.next();
  assert.equal(answer.from, '10.0.2.2');
  assert.equal(answer.to, '10.0.2.15');
  assert.equal(answer.sourcePort, server.address().port);
  assert.equal(answer.destinationPort, 5000);
  assert.deepEqual(Buffer.from(answer.data), HELLO);
});

test('the same over IPv6', async () => {
  const server = await echo('udp6');
  const it = guest();
  it.sendUdp(GUEST6, 5000, HOST6, server.address().port, HELLO);
  const answer = await it.next();
  assert.equal(answer.from, Buffer.from(HOST6).toString('hex'));
  assert.deepEqual(Buffer.from(answer.data), HELLO);
});

test('one endpoint of the guest has one socket for all destinations (RFC 4787 REQ-1)', async () => {
  const [one, other] = [await echo(), await echo()];
  const it = guest();
  it.sendUdp(GUEST, 5000, HOST, one.address().port, HELLO);
  await it.next();
  it.sendUdp(GUEST, 5000, HOST, other.address().port, HELLO);
  await it.next();
  assert.equal(one.seenPort, other.seenPort);
});

function sendInParts(
  it: ReturnType<typeof guest>,
  header: Parameters<(typeof it)['sendIp']>[0],
  whole: Uint8Array,
  partBytes: number,
): void {
  for (let offset = 0; offset < whole.length; offset += partBytes) {
    const end = offset + partBytes;
    it.sendIp({ ...header, id: 7, offset, more: end < whole.length }, whole.subarray(offset, end));
  }
}

/** What comes next, of all its fragments. */
async function wholeOf(it: ReturnType<typeof guest>): Promise<Buffer> {
  const parts = [await it.next()];
  while (parts.at(-1)?.hasMore === true) parts.push(await it.next());
  return Buffer.concat(parts.map((part) => part.payload));
}

for (const sizeBytes of [1, 0, 1472, 1473, 9000, 65507])
  test(`a datagram of ${sizeBytes} bytes goes and comes back`, async () => {
    const server = await echo();
    const it = guest();
    const data = Uint8Array.from({ length: sizeBytes }, (_, index) => index * 7 + (index >> 8));
    const header = { from: GUEST, to: HOST, protocol: UDP };
    const whole = withChecksum(header, udp(5000, server.address().port, data), 6);
    sendInParts(it, header, whole, 1480);
    const back = await wholeOf(it);
    assert.deepEqual(back.subarray(8), Buffer.from(data));
  });

for (const sizeBytes of [1452, 1453, 65_506, 65_527])
  test(`a datagram of ${sizeBytes} bytes goes and comes back over IPv6`, async () => {
    const server = await echo('udp6');
    const it = guest();
    const data = Uint8Array.from({ length: sizeBytes }, (_, index) => index * 7 + (index >> 8));
    const header = { from: GUEST6, to: HOST6, protocol: UDP };
    const whole = withChecksum(header, udp(5000, server.address().port, data), 6);
    if (whole.length <= 1460) it.sendIp(header, whole);
    else
      for (let offset = 0; offset < whole.length; offset += 1448)
        it.sendIp(
          { ...header, id: 7, offset, more: offset + 1448 < whole.length },
          whole.subarray(offset, offset + 1448),
        );
    const parts = [await it.next()];
    while (parts.at(-1)?.hasMore === true) parts.push(await it.next());
    assert.deepEqual(Buffer.concat(parts.map((part) => part.payload)).subarray(8), Buffer.from(data));
  });

test('a guest that takes UFO has a large datagram in one frame, its checksum left to it', async () => {
  const server = await echo();
  const it = guest({ offloads: { csum: true, ufo: true } });
  const data = new Uint8Array(20_000).fill(3);
  const header = { from: GUEST, to: HOST, protocol: UDP };
  const whole = withChecksum(header, udp(5000, server.address().port, data), 6);
  for (let offset = 0; offset < whole.length; offset += 1480)
    it.sendIp(
      { ...header, id: 7, offset, more: offset + 1480 < whole.length },
      whole.subarray(offset, offset + 1480),
    );
  const { frame, offload } = await it.next();
  assert.equal(frame.length, 14 + 20 + 8 + 20_000);
  assert.deepEqual(offload, {
    flags: 1,
    gsoType: 3,
    hdrLen: 42,
    gsoSize: 1480,
    csumStart: 34,
    csumOffset: 6,
  });
});

test('a datagram of IPv6 that is longer than a frame comes in fragments, UFO or not', async () => {
  const server = await echo('udp6');
  const it = guest({ offloads: { csum: true, ufo: true } });
  const data = new Uint8Array(65_506).fill(3);
  const header = { from: GUEST6, to: HOST6, protocol: UDP };
  const whole = withChecksum(header, udp(5000, server.address().port, data), 6);
  sendInParts(it, header, whole, 1448);
  assert.equal((await wholeOf(it)).length, whole.length);
});

test('a datagram that the guest leaves to be cut (USO) leaves as several', async () => {
  const server = await echo();
  const it = guest();
  const header = { from: GUEST, to: HOST, protocol: UDP };
  const payload = udp(5000, server.address().port, Buffer.from('aaaabbbbcc'));
  it.send(ethernet(GATEWAY_MAC, GUEST_MAC, 0x0800, ip(header, payload)), {
    flags: 1,
    gsoType: 5,
    gsoSize: 4,
    csumStart: 34,
    csumOffset: 6,
    hdrLen: 42,
  });
  const parts = [await it.next(), await it.next(), await it.next()].map((part) =>
    Buffer.from(part.data).toString(),
  );
  assert.deepEqual(parts, ['aaaa', 'bbbb', 'cc']);
});

test('a frame that would be thousands of datagrams is dropped: no guest has one', () => {
  const it = guest();
  const header = { from: GUEST, to: HOST, protocol: UDP };
  const frame = ethernet(GATEWAY_MAC, GUEST_MAC, 0x0800, ip(header, udp(5000, 9, new Uint8Array(60_000))));
  it.send(frame, { flags: 1, gsoType: 5, gsoSize: 1, csumStart: 34, csumOffset: 6, hdrLen: 42 });
  assert.equal(it.drops.malformed, 1);
});

/** The host fails so many calls of a kind. */
function failing(t: TestContext, failed: IoRequest['call'], errno: number, times: number): void {
  let left = times;
  injectFaults({
    before: ({ call }) => (call === failed && left-- > 0 ? { errno } : undefined),
    after: () => undefined,
  });
  t.after(() => injectFaults(undefined));
}

test('a datagram that the host has no memory to give arrives later', async (t) => {
  const server = await echo();
  const it = guest();
  failing(t, 'receive', ENOMEM, 1);
  it.sendUdp(GUEST, 5000, HOST, server.address().port, HELLO);
  await it.until(() => it.armedMs < ONE_WAY_MS, 'the first try');
  assert.ok(it.armedMs > 0, 'nobody spins');
  it.link.onTimer();
  assert.deepEqual(Buffer.from((await it.next()).data), HELLO);
});

test('when the process has no more descriptors, the endpoint unused for longest gives its own', async (t) => {
  const server = await echo();
  const it = guest();
  it.sendUdp(GUEST, 5000, HOST, server.address().port, HELLO);
  await it.next();
  failing(t, 'socket', EMFILE, 1);
  it.sendUdp(GUEST, 5001, HOST, server.address().port, HELLO);
  assert.equal((await it.next()).destinationPort, 5001);
  const { mappingsEvicted } = it.link.report().counters as { mappingsEvicted: number };
  assert.equal(mappingsEvicted, 1);
  assert.deepEqual(it.troubles, []);
});

test('when there are none at all, datagrams are lost, and that is told once', (t) => {
  const it = guest();
  failing(t, 'socket', EMFILE, Infinity);
  for (let port = 5000; port < 5010; port++) it.sendUdp(GUEST, port, HOST, 9, HELLO);
  assert.equal(it.drops.hostBusy, 10);
  assert.deepEqual(it.troubles, ['the host gives no more sockets: the guest loses datagrams']);
});

for (const errno of [EAGAIN, ENOBUFS])
  test(`a datagram that the host has no room for (${errno}) is lost, and the next is not`, async (t) => {
    const server = await echo();
    const it = guest();
    failing(t, 'sendTo', errno, 1);
    it.sendUdp(GUEST, 5000, HOST, server.address().port, Buffer.from('lost'));
    assert.equal(it.drops.hostBusy, 1);
    it.sendUdp(GUEST, 5000, HOST, server.address().port, HELLO);
    assert.deepEqual(Buffer.from((await it.next()).data), HELLO);
  });

test('a network that the host cannot reach is unreachable, and a firewall’s refusal is one', (t) => {
  const it = guest();
  for (const [errno, code] of [
    [ENETUNREACH, 0],
    [EPERM, 13],
  ] as const) {
    failing(t, 'sendTo', errno, Infinity);
    it.sendUdp(GUEST, 5000, ip4('192.0.2.1'), 9, HELLO);
    assert.deepEqual([...it.one().payload.subarray(0, 2)], [3, code]);
  }
});

/** Sends one that routers may not cut, or may, and says what the socket was asked for. */
function sendWhole(it: UserGuest, port: number, data: Uint8Array, dontFragment: boolean): void {
  const header = { from: GUEST, to: HOST, protocol: UDP, dontFragment };
  it.sendIp(header, withChecksum(header, udp(5000, port, data), 6));
}

test('a datagram that routers may not cut leaves as one, and others may be cut', async (t) => {
  const server = await echo();
  const it = guest();
  const { mock } = t.mock.method(it.poller, 'add');
  for (const dontFragment of [true, false, false, true]) {
    sendWhole(it, server.address().port, HELLO, dontFragment);
    await it.next();
    const fd = mock.calls[0]?.arguments[0] ?? -1;
    const value = getOption(fd, IPPROTO_IP, IP_MTU_DISCOVER);
    assert.equal(value, dontFragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
  }
  assert.equal(mock.calls.length, 1);
});

test('one too large for its way is told of with what the way takes (RFC 1191 §4)', (t) => {
  const it = guest();
  t.mock.method(it.message, 'sendTo', () => -EMSGSIZE);
  const failures = [{ errno: EMSGSIZE, isLocal: true, mtu: 1300 }];
  t.mock.method(it.message, 'receiveFailure', () => (failures.length > 0 ? 0 : -EAGAIN));
  t.mock.getter(it.message, 'failure', () => failures.shift());
  sendWhole(it, 9, new Uint8Array(1400), true);
  const { payload, from } = it.one();
  assert.equal(from, '10.0.2.2');
  assert.deepEqual(
    [...payload.subarray(0, 2), ...payload.subarray(4, 8)],
    [3, 4, 0, 0, 1300 >> 8, 1300 & 255],
  );
  assert.deepEqual([...payload.subarray(8 + 12, 8 + 20)], [...GUEST, ...HOST]);
});

test('a router’s word that one was too large reaches the guest, and the next is sent', async (t) => {
  const server = await echo();
  const it = guest();
  sendWhole(it, server.address().port, HELLO, true);
  await it.next();
  const sendTo = it.message.sendTo.bind(it.message);
  const results = [-EMSGSIZE];
  t.mock.method(
    it.message,
    'sendTo',
    (...args: Parameters<typeof sendTo>) => results.pop() ?? sendTo(...args),
  );
  const failures = [{ errno: EMSGSIZE, isLocal: false, mtu: 1280 }];
  t.mock.method(it.message, 'receiveFailure', () => (failures.length > 0 ? 0 : -EAGAIN));
  t.mock.getter(it.message, 'failure', () => failures.shift());
  sendWhole(it, server.address().port, HELLO, true);
  const { payload } = await it.next();
  assert.deepEqual([...payload.subarray(0, 2), ...payload.subarray(6, 8)], [3, 4, 1280 >> 8, 1280 & 0xff]);
  assert.deepEqual(Buffer.from((await it.next()).data), HELLO);
});

test('of IPv6 it is a packet too big, unless the guest has cut it itself (RFC 4443 §3.2)', async () => {
  const server = await echo('udp6');
  const it = guest();
  // As one packet it is larger than what loopback takes, which is 65536.
  it.sendUdp(GUEST6, 5000, HOST6, server.address().port, new Uint8Array(65_520));
  const { payload } = it.one();
  assert.deepEqual([...payload.subarray(0, 2), ...payload.subarray(4, 8)], [2, 0, 0, 1, 0, 0]);
  it.sendUdp(GUEST6, 5000, HOST6, server.address().port, HELLO);
  assert.deepEqual(Buffer.from((await it.next()).data), HELLO);
});

test('a wrong checksum is dropped; none at all is right for IPv4 (RFC 768) and wrong for IPv6 (RFC 8200 §8.1)', async () => {
  const [server, server6] = [await echo(), await echo('udp6')];
  const it = guest();
  const header = { from: GUEST, to: HOST, protocol: UDP };
  const good = withChecksum(header, udp(5000, server.address().port, HELLO), 6);
  it.sendIp(
    header,
    Uint8Array.from(good, (byte, at) => (at === 7 ? byte ^ 1 : byte)),
  );
  assert.equal(it.drops.malformed, 1);
  it.sendIp({ from: GUEST6, to: HOST6, protocol: UDP }, udp(5000, server6.address().port, HELLO));
  assert.equal(it.drops.malformed, 2);
  it.sendIp(header, udp(5000, server.address().port, HELLO));
  assert.deepEqual(Buffer.from((await it.next()).data), HELLO);
});

test('a port where nobody listens is unreachable, and the guest is told of which datagram', async () => {
  const server = await echo();
  const { port } = server.address();
  closing.splice(closing.length - 1, 1);
  await new Promise<void>((resolve) => server.close(resolve));
  const it = guest();
  it.sendUdp(GUEST, 5000, HOST, port, HELLO);
  const error = await it.next();
  assert.deepEqual([...error.payload.subarray(0, 2)], [3, 3]); // destination, port unreachable
  const quoted = error.payload.subarray(8);
  assert.deepEqual([...quoted.subarray(12, 20)], [...GUEST, ...HOST]);
  assert.deepEqual([...quoted.subarray(20, 24)], [5000 >> 8, 5000 & 0xff, port >> 8, port & 0xff]);
});

test('questions to the virtual name server go to the host’s, and answers are that one’s', async () => {
  const server = await echo();
  const { port } = server.address();
  const opened = { nameservers: [{ family: 'ipv4' as const, address: Uint8Array.of(127, 0, 0, 1), port }] };
  const it = guest({ opened });
  it.sendUdp(GUEST, 5000, DNS, 53, HELLO);
  const answer = await it.next();
  assert.equal(answer.from, '10.0.2.3');
  // The test's name server has another port than 53, which the guest sees; the host's has 53.
  it.sendUdp(GUEST6, 5001, DNS6, 53, HELLO);
  assert.equal((await it.next()).from, Buffer.from(DNS6).toString('hex'));
});

test('addresses that mean the host itself are no way around its virtual address', () => {
  const it = guest();
  for (const to of ['127.0.0.1', '0.0.0.0', '127.255.0.1', '224.0.0.251', '255.255.255.255'])
    it.sendUdp(GUEST, 5000, ip4(to), 9, HELLO);
  for (const to of ['::1', '::', '::ffff:7f00:1', '::7f00:1', 'ff02::fb', 'fe80::99'])
    it.sendUdp(GUEST6, 5000, ip6(to), 9, HELLO);
  assert.deepEqual(it.take(), []);
  assert.deepEqual((it.link.report().udp as { mappings: number }).mappings, 0);
});

test('a restricted guest reaches nothing but the services, and is told so', () => {
  const it = guest({ opened: { isRestricted: true } });
  for (const to of [HOST, DNS, ip4('192.0.2.1')]) {
    it.sendUdp(GUEST, 5000, to, 53, HELLO);
    assert.deepEqual([...it.one().payload.subarray(0, 2)], [3, 13]); // administratively prohibited
  }
});

test('a packet whose hops end here is answered as by a router (RFC 1812 §5.3.1)', () => {
  const it = guest();
  it.sendUdp(GUEST, 5000, ip4('192.0.2.1'), 33434, HELLO, 1);
  const { from, payload } = it.one();
  assert.equal(from, '10.0.2.2');
  assert.deepEqual([...payload.subarray(0, 2)], [11, 0]);
});

test('while the guest has no room, datagrams wait in the host’s socket', async () => {
  const server = await echo();
  const it = guest();
  it.isFull = true;
  for (let index = 0; index < 50; index++)
    it.sendUdp(GUEST, 5000, HOST, server.address().port, Uint8Array.of(index));
  await it.until(() => server.seenPort !== 0, 'the server to hear');
  for (let round = 0; round < 20; round++) await it.turn();
  it.isFull = false;
  it.link.onRoom();
  for (let index = 0; index < 50; index++) assert.deepEqual([...(await it.next()).data], [index]);
});

test('a million questions of a guest take no more than the table, and sockets no more than that', () => {
  const it = guest();
  it.doNotLook();
  const before = process.memoryUsage().heapUsed;
  const rounds = 5000; // more of them only take longer: the table has turned over five times
  for (let index = 0; index < rounds; index++)
    it.sendUdp(GUEST, 1024 + (index % 60_000), HOST, 9, Uint8Array.of(index));
  const { mappings } = it.link.report().udp as { mappings: number };
  assert.equal(mappings, MAX_MAPPINGS);
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 64 << 20, `the heap has grown by ${grown >> 20} MiB`);
});

test('a mapping that is not used ends', (t) => {
  const it = guest();
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  it.sendUdp(GUEST, 5000, HOST, 9, HELLO);
  const count = (): number => (it.link.report().udp as { mappings: number }).mappings;
  nowMs = ONE_WAY_MS - 1;
  it.link.onTimer();
  assert.equal(count(), 1);
  nowMs = ONE_WAY_MS;
  it.link.onTimer();
  assert.equal(count(), 0);
});

test('the report has what each endpoint sent and received, and how fast since the report before', async (t) => {
  const server = await echo();
  const it = guest();
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  it.sendUdp(GUEST, 5000, HOST, server.address().port, HELLO);
  await it.next();
  const row = (): unknown => (it.link.report().udp as { table: readonly unknown[] }).table[0];
  const known = { guest: '10.0.2.15:5000', sentBytes: 5, receivedBytes: 5 };
  nowMs = 500;
  const rates = { sentBytesPerSecond: 10, receivedBytesPerSecond: 10 };
  assert.deepEqual(row(), { ...known, ...rates, idleSeconds: 0 });
  nowMs = 1500;
  assert.deepEqual(row(), { ...known, sentBytesPerSecond: 0, receivedBytesPerSecond: 0, idleSeconds: 1 });
});

test('a pause of the VM is no time of the guest’s: a mapping outlives it', (t) => {
  let nowMs = 5000;
  t.mock.method(performance, 'now', () => nowMs);
  const it = guest();
  it.sendUdp(GUEST, 5000, HOST, 9, HELLO);
  const count = (): number => (it.link.report().udp as { mappings: number }).mappings;
  nowMs += 1000;
  it.link.pause();
  it.armedMs = Infinity;
  nowMs += 100 * ONE_WAY_MS;
  it.link.onTimer();
  assert.equal(it.armedMs, Infinity, 'nothing wakes anybody meanwhile');
  it.link.resume();
  assert.equal(it.armedMs, 0);
  it.link.onTimer();
  assert.equal(count(), 1);
  nowMs += ONE_WAY_MS - 1000;
  it.link.onTimer();
  assert.equal(count(), 0);
});
