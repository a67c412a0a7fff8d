import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nthFaults, PlannedFaults } from '../../../../test/support/ioFaults.ts';
import { ip4 } from '../../../../test/support/rawPackets.ts';
import { GUEST, HOST, UserGuest } from '../../../../test/support/userGuest.ts';
import type { ForwardConfig } from '../../../config/settings/forwards.ts';
import { UserError } from '../../../errors.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { tcpOf } from './attachUser.ts';
import { isSameForward, openForward, removePath } from './forwards.ts';
import { inodeOf } from './portHolder.ts';
import type { TcpForward } from './tcpForwards.ts';
import { MAX_PEERS } from './udpForwards.ts';

const { ECONNABORTED, EINTR, EMFILE, ENOBUFS, ENOMEM } = constants.errno;
const folder = mkdtempSync(join(tmpdir(), 'forwards-'));
after(() => rmSync(folder, { recursive: true }));

/** A port that is free now. */
async function freePort(type: 'udp4' | 'udp6' = 'udp4'): Promise<number> {
  const socket = createSocket(type);
  socket.bind(0, type === 'udp4' ? '127.0.0.1' : '::1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function close(sockets: readonly TcpForward[]): void {
  for (const { fd } of sockets) closeFd(fd);
}

test('a connection from outside is accepted, and handed to TCP with the guest’s address', async () => {
  const port = await freeTcpPort();
  const { sockets } = openForward({ protocol: 'tcp', hostPort: port, guestPort: 22 });
  const it = new UserGuest({ opened: { tcpForwards: sockets } });
  const client = connect(port, '127.0.0.1');
  await it.until(() => it.accepted.length > 0, 'a connection');
  const [accepted] = it.accepted;
  assert.equal(accepted?.to, '10.0.2.15:22');
  assert.match(accepted.from, /^10\.0\.2\.2:\d+$/, 'loopback is the virtual host');
  closeFd(accepted.fd);
  client.destroy();
  it.close();
});

test('a connection that cannot be accepted yet is not forgotten, and nobody spins for it', async (t) => {
  const port = await freeTcpPort();
  const { sockets } = openForward({ protocol: 'tcp', hostPort: port, guestPort: 22 });
  const it = new UserGuest({ opened: { tcpForwards: sockets } });
  t.after(() => injectFaults(undefined));
  for (const errno of [ENOBUFS, ENOMEM, EMFILE]) {
    const faults = new PlannedFaults(({ call }) => (call === 'accept' ? { errno } : undefined));
    injectFaults(faults);
    const client = connect(port, '127.0.0.1');
    await it.until(() => faults.seen.accept > 0, 'the first try');
    assert.equal(faults.seen.accept, 1);
    assert.ok(it.armedMs > 0 && it.armedMs < Infinity, 'the next try has time');
    it.armedMs = Infinity;
    injectFaults(nthFaults({ accept: { 1: { errno: EINTR }, 2: { errno: ECONNABORTED } } }));
    it.link.onTimer();
    await it.until(() => it.accepted.length > 0, 'the connection');
    for (const { fd } of it.accepted.splice(0)) closeFd(fd);
    client.destroy();
  }
  assert.equal(it.troubles.length, 1);
  it.close();
});

test('an error that lasts is not asked about all the time', async (t) => {
  const [tcpPort, udpPort] = [await freeTcpPort(), await freePort()];
  const open = (protocol: 'tcp' | 'udp', hostPort: number): readonly TcpForward[] =>
    openForward({ protocol, hostPort, guestPort: 22 }).sockets;
  const it = new UserGuest({
    opened: { tcpForwards: open('tcp', tcpPort), udpForwards: open('udp', udpPort) },
  });
  t.after(() => injectFaults(undefined));
  const faults = new PlannedFaults(({ call }) =>
    call === 'accept' || call === 'receive' ? { errno: ECONNABORTED } : undefined,
  );
  injectFaults(faults);
  const client = connect(tcpPort, '127.0.0.1');
  await it.until(() => faults.seen.accept > 0, 'the first tries to accept');
  assert.ok(it.armedMs > 0 && it.armedMs < Infinity, 'the next has time');
  it.armedMs = Infinity;
  const socket = createSocket('udp4');
  socket.send('ask', udpPort, '127.0.0.1');
  await it.until(() => faults.seen.receive > 0, 'the first try to receive');
  assert.equal(faults.seen.receive, 1);
  assert.ok(it.armedMs > 0 && it.armedMs < Infinity, 'the next has time');
  injectFaults(undefined);
  it.link.onTimer();
  await it.until(() => it.accepted.length > 0, 'the connection');
  assert.equal((await it.next()).data.length, 3);
  for (const { fd } of it.accepted) closeFd(fd);
  client.destroy();
  socket.close();
  it.close();
});

test('a client waits for a guest that is paused, however long', async (t) => {
  const port = await freeTcpPort();
  const { sockets } = openForward({ protocol: 'tcp', hostPort: port, guestPort: 22 });
  let nowMs = 5000;
  t.mock.method(performance, 'now', () => nowMs);
  const it = new UserGuest({ opened: { tcpForwards: sockets }, makeTcp: tcpOf });
  const client = connect(port, '127.0.0.1');
  await it.next(); // its SYN, which the guest does not get to see
  it.link.pause();
  it.isFull = true;
  for (let count = 0; count < 100; count++) {
    nowMs += 60_000;
    it.link.onTimer();
  }
  it.link.resume();
  it.isFull = false;
  it.link.onTimer();
  nowMs += 60_000;
  it.link.onTimer();
  assert.equal(it.one().frame[14 + 20 + 13], 0x02, 'the SYN again');
  client.destroy();
  it.close();
});

test('a forward that names an address of the guest goes there', async () => {
  const port = await freeTcpPort();
  const { sockets } = openForward({
    protocol: 'tcp',
    hostPort: port,
    guestPort: 22,
    guestAddress: '10.0.2.20',
  });
  const it = new UserGuest({ opened: { tcpForwards: sockets } });
  const client = connect(port, '127.0.0.1');
  await it.until(() => it.accepted.length > 0, 'a connection');
  assert.equal(it.accepted[0]?.to, '10.0.2.20:22');
  closeFd(it.accepted[0].fd);
  client.destroy();
  it.close();
});

test('forwards are added and removed while the guest runs', async () => {
  const port = await freeTcpPort();
  const it = new UserGuest();
  const { sockets, protocol } = openForward({ protocol: 'tcp', hostPort: port, guestPort: 22 });
  const [forward] = sockets;
  it.link.onMessage({ kind: 'addForward', protocol, forward });
  const client = connect(port, '127.0.0.1');
  await it.until(() => it.accepted.length > 0, 'a connection');
  closeFd(it.accepted[0]?.fd ?? -1);
  client.destroy();
  it.link.onMessage({ kind: 'removeForward', protocol, id: forward?.id });
  const late = connect(port, '127.0.0.1');
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  it.close();
});

test('a datagram from outside reaches the guest, whose answer leaves by the port it came in by', async () => {
  const port = await freePort();
  const { sockets } = openForward({ protocol: 'udp', hostPort: port, guestPort: 53 });
  const it = new UserGuest({ opened: { udpForwards: sockets } });
  const client = createSocket('udp4');
  client.send('ask', port, '127.0.0.1');
  const asked = await it.next();
  assert.deepEqual([asked.from, asked.to, asked.destinationPort], ['10.0.2.2', '10.0.2.15', 53]);
  const heard = once(client, 'message') as Promise<[Buffer, AddressInfo]>;
  it.sendUdp(GUEST, 53, HOST, asked.sourcePort, Buffer.from('answer'));
  const [bytes, from] = await heard;
  assert.equal(bytes.toString(), 'answer');
  assert.equal(from.port, port);
  client.close();
  it.close();
});

test('peers of two forwards to one port of the guest are told apart', async () => {
  const [one, other] = [await freePort(), await freePort()];
  const it = new UserGuest({
    opened: {
      udpForwards: [one, other].flatMap(
        (hostPort) => openForward({ protocol: 'udp', hostPort, guestPort: 53 }).sockets,
      ),
    },
  });
  const client = createSocket('udp4');
  client.send('one', one, '127.0.0.1');
  const first = await it.next();
  client.send('other', other, '127.0.0.1');
  const second = await it.next();
  assert.notEqual(first.sourcePort, second.sourcePort);
  for (const [asked, port] of [
    [first, one],
    [second, other],
  ] as const) {
    const heard = once(client, 'message') as Promise<[Buffer, AddressInfo]>;
    it.sendUdp(GUEST, 53, HOST, asked.sourcePort, Buffer.from('answer'));
    assert.equal((await heard)[1].port, port);
  }
  client.close();
  it.close();
});

test('a peer of the other family is shown as a port of the virtual host', async () => {
  const port = await freePort('udp6');
  const { sockets } = openForward({ protocol: 'udp', hostAddress: '::1', hostPort: port, guestPort: 53 });
  const it = new UserGuest({ opened: { udpForwards: sockets } });
  const client = createSocket('udp6');
  client.send('ask', port, '::1');
  const asked = await it.next();
  assert.equal(asked.from, '10.0.2.2');
  const heard = once(client, 'message') as Promise<[Buffer, AddressInfo]>;
  it.sendUdp(GUEST, 53, HOST, asked.sourcePort, Buffer.from('answer'));
  assert.equal((await heard)[0].toString(), 'answer');
  client.close();
  it.close();
});

test('what no datagram of the guest’s family can hold is dropped, not cut', async () => {
  const port = await freePort('udp6');
  const { sockets } = openForward({ protocol: 'udp', hostAddress: '::1', hostPort: port, guestPort: 53 });
  const it = new UserGuest({ opened: { udpForwards: sockets } });
  const client = createSocket('udp6');
  client.send(new Uint8Array(65_508), port, '::1');
  client.send('next', port, '::1');
  assert.equal(Buffer.from((await it.next()).data).toString(), 'next');
  assert.equal(it.drops.malformed, 1);
  client.close();
  it.close();
});

test('more peers than are kept push out the one that was silent for longest', async () => {
  const port = await freePort();
  const { sockets } = openForward({ protocol: 'udp', hostPort: port, guestPort: 53 });
  const it = new UserGuest({ opened: { udpForwards: sockets } });
  const [first, silent] = [createSocket('udp4'), createSocket('udp4')];
  silent.send('ask', port, '127.0.0.1');
  await it.next();
  first.send('ask', port, '127.0.0.1');
  const { sourcePort } = await it.next();
  for (let count = 0; count < MAX_PEERS; count++) {
    const other = createSocket('udp4');
    other.send('ask', port, '127.0.0.1');
    await it.next();
    other.close();
    if (count % 100 > 0) continue;
    first.send('again', port, '127.0.0.1');
    assert.equal((await it.next()).sourcePort, sourcePort, 'the same peer');
  }
  const heard = once(first, 'message');
  it.sendUdp(GUEST, 53, HOST, sourcePort, Buffer.from('answer'));
  await heard;
  const [forward] = it.link.report().forwards as { peers: number }[];
  assert.ok((forward?.peers ?? 0) <= MAX_PEERS);
  first.close();
  silent.close();
  it.close();
});

test('a range is as many ports, to as many of the guest', async () => {
  const first = await freeTcpPort();
  const { sockets } = openForward({ protocol: 'udp', hostPort: first, guestPort: 100, count: 3 });
  assert.deepEqual(
    sockets.map(({ guestPort }) => guestPort),
    [100, 101, 102],
  );
  close(sockets);
});

test('a busy port is an error that says which, who has it, and leaves nothing open', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  assert.throws(
    () => openForward({ protocol: 'tcp', hostPort: port, guestPort: 22 }),
    (error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        new RegExp(
          `^cannot forward tcp 127\\.0\\.0\\.1:${port} to the guest: the port is in use by .+ \\(${process.pid}\\); take another or end that$`,
        ),
      );
      return true;
    },
  );
  // The first of the range is free again afterwards.
  assert.throws(
    () => openForward({ protocol: 'tcp', hostPort: port - 1, guestPort: 22, count: 2 }),
    UserError,
  );
  server.close();
  close(openForward({ protocol: 'udp', hostPort: await freePort(), guestPort: 22 }).sockets);
});

test('an address that this host has not is an error that says so', () => {
  assert.throws(
    () => openForward({ protocol: 'tcp', hostAddress: '203.0.113.7', hostPort: 2222, guestPort: 22 }),
    {
      name: 'UserError',
      message: 'cannot forward tcp 203.0.113.7:2222 to the guest: this host has no such address',
    },
  );
});

test('a unix socket is for its owner alone; one that was left behind is replaced, and gone at the end', async () => {
  const path = join(folder, 'ssh');
  const config: ForwardConfig = { protocol: 'tcp', hostPath: path, guestPort: 22 };
  close(openForward(config).sockets); // as if killed: the name stays
  assert.ok(existsSync(path));
  const forward = openForward(config);
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  assert.throws(() => openForward(config), /another program listens there; take another path$/);
  const it = new UserGuest({ opened: { tcpForwards: forward.sockets } });
  const client = connect(path);
  await it.until(() => it.accepted.length > 0, 'a connection');
  closeFd(it.accepted[0]?.fd ?? -1);
  client.destroy();
  it.close();
  removePath(forward.path);
  assert.equal(existsSync(path), false);
});

test('a file where a socket is wanted stays', () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'precious');
  assert.throws(
    () => openForward({ protocol: 'tcp', hostPath: path, guestPort: 22 }),
    /there is a file of that name$/,
  );
  assert.ok(existsSync(path));
});

test('a path that is too long for a socket is an error that says so', () => {
  const path = join(folder, 'x'.repeat(200));
  assert.throws(
    () => openForward({ protocol: 'tcp', hostPath: path, guestPort: 22 }),
    /the path is too long for a socket$/,
  );
});

test('a forward is the same however it is written', () => {
  const config: ForwardConfig = { protocol: 'tcp', hostPort: 2222, guestPort: 22 };
  assert.ok(isSameForward(config, { ...config, hostAddress: '127.0.0.1', count: 1 }));
  assert.ok(!isSameForward(config, { ...config, hostAddress: '0.0.0.0' }));
  assert.ok(!isSameForward(config, { ...config, protocol: 'udp' }));
});

test('who has a port is found in /proc/net by state', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:08AE 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 111 1
   1: 0100007F:08AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 222 1`;
  assert.equal(inodeOf(table, 2222, '0A'), '222');
  assert.equal(inodeOf(table, 2223, '0A'), undefined);
});

test('whom the guest sends to from a forwarded port without having been asked is no peer', async () => {
  const port = await freePort();
  const { sockets } = openForward({ protocol: 'udp', hostPort: port, guestPort: 53 });
  const it = new UserGuest({ opened: { udpForwards: sockets } });
  const client = createSocket('udp4');
  client.send('ask', port, '127.0.0.1');
  await it.next();
  const forward = { protocol: 'udp', from: `127.0.0.1:${port}`, guestPort: 53, peers: 1 };
  assert.deepEqual(it.link.report().forwards, [forward]);
  it.sendUdp(GUEST, 53, ip4('10.0.2.2'), 9, Buffer.from('to another'));
  client.close();
  it.close();
});
