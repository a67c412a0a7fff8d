/** On the kernel's sockets, over loopback, while its calls fail. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { constants } from 'node:os';
import { afterEach, test } from 'node:test';
import { seededRandom } from '../../../../../test/support/bytes.ts';
import { Chances } from '../../../../../test/support/chances.ts';
import { GuestTcp } from '../../../../../test/support/guestTcp.ts';
import { FrameBuffer } from '../../../../../test/support/netFrames.ts';
import { bytesOf, GUEST, SERVER } from '../../../../../test/support/tcpScene.ts';
import { FakePort, GUEST_MAC, HOST_MAC, TAG_BASE } from '../../../../../test/support/tcpWire.ts';
import { injectFaults, type IoRequest } from '../../../../kvm/io/faults.ts';
import { EpollPoller } from '../../../../kvm/net/epollPoller.ts';
import { KernelMessage } from '../../../../kvm/net/messageIo.ts';
import { IpPacket } from '../packet/ipPacket.ts';
import { KERNEL_SOCKETS } from './kernelSockets.ts';
import { TcpNat } from './tcpNat.ts';

const { EINTR, EMFILE, ENOBUFS } = constants.errno;
const DATA = bytesOf(3_000_000);

afterEach(() => injectFaults(undefined));

/** A network on this thread's event loop, in place of the I/O thread's. */
class LiveNetwork {
  readonly guest = new GuestTcp(() => performance.now(), { tsoBytes: 65000 });
  readonly nat: TcpNat;
  readonly #poller: EpollPoller;
  readonly #port: FakePort;
  readonly #packet = new IpPacket();
  readonly #frame = new FrameBuffer();
  #dueMs = Infinity;

  constructor(hostPort: number) {
    this.#poller = new EpollPoller((tag, events) => this.nat.onReady(tag, events));
    this.#port = new FakePort(this.#poller, new KernelMessage([]));
    this.nat = new TcpNat({
      port: this.#port,
      sockets: KERNEL_SOCKETS,
      mac: HOST_MAC,
      tagBase: TAG_BASE,
      now: () => performance.now(),
      translate: () => ({ family: 'ipv4', address: Uint8Array.of(127, 0, 0, 1), port: hostPort }),
      macOf: () => GUEST_MAC,
      unreachable: () => assert.fail('the host is there'),
    });
  }

  /** Turns, with the event loop's between them, until it is so. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      this.#turn();
      await new Promise(setImmediate);
    }
  }

  close(): void {
    this.nat.close();
    this.#poller.close();
  }

  #turn(): void {
    for (const { bytes, offload } of this.guest.outgoing.splice(0)) {
      const frame = this.#frame.put(bytes, offload);
      assert.equal(this.#packet.read(frame), 'ip');
      this.nat.onSegment(this.#packet, frame);
    }
    this.nat.onSent();
    this.#poller.take();
    this.#dueMs = Math.min(this.#dueMs, performance.now() + this.#port.armedMs);
    this.#port.armedMs = Infinity;
    if (performance.now() >= this.#dueMs) {
      this.#dueMs = Infinity;
      this.nat.onTimer();
    }
    for (const frame of this.#port.frames.splice(0)) this.guest.onFrame(frame);
    this.guest.tick();
  }
}

async function listen(onConnection: (socket: net.Socket) => void): Promise<net.Server & { port: number }> {
  const server = net.createServer({ allowHalfOpen: true }, onConnection).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, { port: (server.address() as net.AddressInfo).port });
}

async function exchange(): Promise<void> {
  const received: Buffer[] = [];
  let hasEnded = false;
  const server = await listen((socket) => {
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('end', () => (hasEnded = true));
    socket.end(DATA);
  });
  const network = new LiveNetwork(server.port);
  const socket = network.guest.connect(GUEST, SERVER);
  socket.write(DATA);
  socket.end();
  await network.until(() => hasEnded && socket.isEnded && socket.isFinAcked);
  assert.ok(Buffer.concat(received).equals(DATA));
  assert.deepEqual(socket.bytes(), DATA);
  assert.ok(!socket.isReset);
  network.close();
  server.close();
}

test('data goes both ways at once, and both ends end', exchange);

test('calls that fail for a moment or do half cost nothing but time', async () => {
  const chances = new Chances(seededRandom(7));
  let faults = 0;
  injectFaults({
    before: ({ call }: IoRequest) => {
      if (!chances.chance(0.2)) return undefined;
      faults++;
      if (call === 'socket') return { errno: EMFILE };
      if (call !== 'send' && call !== 'receive') return undefined;
      return chances.chance(0.5)
        ? { errno: chances.of([EINTR, ENOBUFS]) }
        : { shortBytes: 1 + chances.below(9000) };
    },
    after: () => undefined,
  });
  await exchange();
  assert.ok(faults > 20);
});

test('a port that nobody listens at refuses the guest, and a peer that breaks off is told of', async () => {
  const server = await listen((socket) => socket.resetAndDestroy());
  const network = new LiveNetwork(server.port);
  const broken = network.guest.connect(GUEST, SERVER);
  await network.until(() => broken.isReset);
  server.close();
  await once(server, 'close');
  const refused = network.guest.connect({ ...GUEST, port: 40001 }, SERVER);
  await network.until(() => refused.isReset);
  assert.ok(!refused.isOpen);
  network.close();
});

test('a guest that breaks off is told of', async () => {
  let error: NodeJS.ErrnoException | undefined;
  const server = await listen((socket) => socket.on('error', (it) => (error = it)).resume());
  const network = new LiveNetwork(server.port);
  const socket = network.guest.connect(GUEST, SERVER);
  await network.until(() => socket.isOpen);
  socket.abort();
  await network.until(() => error !== undefined);
  assert.equal(error?.code, 'ECONNRESET');
  network.close();
  server.close();
});

test('a peer that does not read stops the guest, and lets it go on later, without a loss', async () => {
  let peer: net.Socket | undefined;
  const server = await listen((socket) => {
    peer = socket.pause();
  });
  const network = new LiveNetwork(server.port);
  const socket = network.guest.connect(GUEST, SERVER);
  socket.write(bytesOf(20_000_000));
  socket.end();
  await network.until(() => socket.isOpen && socket.sndWnd === 0);
  let received = 0;
  assert.ok(peer);
  peer.on('data', (chunk) => (received += chunk.length)).resume();
  await network.until(() => received === 20_000_000);
  assert.equal(socket.resends, 0);
  network.close();
  server.close();
});
