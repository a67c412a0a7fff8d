/**
 * The vsock device as a stock Debian kernel's own driver uses it, over PCI and over MMIO: connections of the
 * guest to the host and of the host to the guest, data both ways at once, ends by halves. LAB_VSOCK_MIB makes
 * it long (test/soak).
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, it, type TestContext } from 'node:test';
import { checkChunks, chunks } from './inside/chunks.ts';
import type { DiskGuest } from './inside/diskGuest.ts';
import { boot, LONG_MS, reasonToSkipDisks } from './inside/diskImages.ts';
import { DISK } from './inside/labProtocol.ts';
import { longTest, testOver } from './inside/longTest.ts';

const MIB = Number(process.env['LAB_VSOCK_MIB'] ?? '4');
const CONNECTIONS = 50;
const CID = 3;
const HOST_PORT = 1234;
const GUEST_PORT = 5000;
/** As long as the other direction may take after one has ended. */
const SOCAT = 'socat -t 600';
/** In the guest. PIPE would do, but blocks for ever where it is nearly full. */
const ECHO = `(${SOCAT} VSOCK-LISTEN:${GUEST_PORT},fork,backlog=64 EXEC:cat >/dev/null 2>&1 &)`;
const TRIES = 1000;

async function bootVsock(t: TestContext, bus: string): Promise<{ guest: DiskGuest; socket: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vsock-'));
  t.after(() => rm(folder, { recursive: true }));
  const socket = path.join(folder, 'guest');
  const guest = await boot(t, [`${DISK.root},format=raw,snapshot`], {
    cmdline: 'lab.modules=vmw_vsock_virtio_transport',
    more: ['--virtio', bus, '--vsock', `${CID},${socket}`],
  });
  await guest.sh('mount -o remount,rw / && [ -c /dev/vsock ]');
  return { guest, socket };
}

/** Returns all that it is sent, and then its end. */
async function echoServer(t: TestContext, socket: string): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (peer) => {
    peer.on('error', () => undefined); // an end is judged by what has come back
    peer.pipe(peer);
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(`${socket}_${HOST_PORT}`, resolve));
  return server;
}

/** A connection that the guest has accepted. */
async function connectTo(socket: string, port: number): Promise<Socket> {
  const peer = connect({ path: socket, allowHalfOpen: true });
  peer.write(`CONNECT ${port}\n`);
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    const read = (): void => {
      for (let byte = peer.read(1) as Buffer | null; byte !== null; byte = peer.read(1) as Buffer | null) {
        text += byte.toString();
        if (!text.endsWith('\n')) continue;
        peer.off('readable', read);
        resolve(text);
        return;
      }
    };
    peer.on('readable', read);
    peer.once('error', reject);
    peer.once('end', () => reject(new Error(`refused: ${JSON.stringify(text)}`)));
  });
  assert.match(line, /^OK \d+\n$/);
  return peer;
}

/** The guest may have yet to start what listens; a refusal takes it some milliseconds. */
async function connectWhenThere(socket: string): Promise<Socket> {
  for (let left = TRIES; ; left--) {
    try {
      return await connectTo(socket, GUEST_PORT);
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

/** Sends so many chunks and ends its half. Throws unless they come back, and then the end. */
async function exchange(peer: Socket, count: number, first = 0): Promise<void> {
  await Promise.all([pipeline(Readable.from(chunks(count, first)), peer), checkChunks(peer, count, first)]);
}

describe("a stock Debian kernel's vsock", { skip: reasonToSkipDisks() }, () => {
  for (const bus of ['pci', 'mmio']) {
    testOver(bus)(`has an echo of ${MIB} MiB from the host and from the guest over ${bus}`, async (t) => {
      const { guest, socket } = await bootVsock(t, bus);
      await echoServer(t, socket);
      const begin = performance.now();
      await guest.sh(`netLoad vsock 2 ${HOST_PORT} ${MIB}`, LONG_MS);
      const between = performance.now();
      await guest.sh(`(netLoad vsockEcho ${GUEST_PORT} >/dev/null 2>&1 &)`);
      await exchange(await connectWhenThere(socket), MIB);
      const end = performance.now();
      const rate = (ms: number): string => `${((2 * MIB) / (ms / 1000)).toFixed(1)} MiB/s`;
      t.diagnostic(`echo by the host: ${rate(between - begin)}, by the guest: ${rate(end - between)}`);
      assert.equal(await guest.powerOff(), 0);
    });
  }

  it('refuses what nobody listens for, both ways, and takes many connections', async (t) => {
    const { guest, socket } = await bootVsock(t, 'pci');
    const { code, output } = await guest.try(`echo | socat - VSOCK-CONNECT:2:99 2>&1`);
    assert.notEqual(code, 0);
    assert.match(output, /reset/i);
    await assert.rejects(connectTo(socket, 77), /refused/);
    await echoServer(t, socket);
    const one = `[ $(echo $i | ${SOCAT} - VSOCK-CONNECT:2:${HOST_PORT}) = $i ] || exit 1`;
    await guest.sh(`for i in $(seq ${CONNECTIONS}); do ${one}; done`, LONG_MS);
    await guest.sh(ECHO);
    (await connectWhenThere(socket)).destroy();
    const peers = await Promise.all(Array.from({ length: 8 }, () => connectTo(socket, GUEST_PORT)));
    await Promise.all(peers.map((peer, i) => exchange(peer, 1, i)));
    assert.equal(await guest.powerOff(), 0);
  });

  longTest('has its driver bound again and again, and works then', async (t) => {
    const { guest, socket } = await bootVsock(t, 'pci');
    await echoServer(t, socket);
    const driver = '/sys/bus/virtio/drivers/vmw_vsock_virtio_transport';
    const device = await guest.sh(`basename ${driver}/virtio*`);
    const echo = `[ $(echo hello | ${SOCAT} - VSOCK-CONNECT:2:${HOST_PORT}) = hello ] || exit 1`;
    const round = `${echo}; echo ${device} > ${driver}/unbind; echo ${device} > ${driver}/bind`;
    await guest.sh(`for i in 1 2 3 4 5; do ${round}; done; ${echo}`, LONG_MS);
    assert.equal(await guest.powerOff(), 0);
  });
});
