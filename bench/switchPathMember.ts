/**
 * One of two processes for bench/switchPath.ts: a member of a switch without a guest, or one end of a socket
 * that the same frames go through.
 *
 *   switchPathMember (send | receive) (switch | socket) FOLDER BYTES SECONDS
 *
 * The receiver writes a line when it can be met, then how many thousands of frames came in a second.
 */
import path from 'node:path';
import { AF_UNIX, SOCK_SEQPACKET } from '../vmm-core/abi/socket.ts';
import { MAX_FRAME_BYTES } from '../vmm-core/backends/net/netLink.ts';
import { noOffload } from '../vmm-core/backends/net/offloadHeader.ts';
import { open } from '../vmm-core/backends/net/switch/openSwitch.ts';
import { attach } from '../vmm-core/backends/net/switch/switchLink.ts';
import { KernelMessage } from '../vmm-core/kvm/net/messageIo.ts';
import { acceptFrom, bindSocket, connectSocket, listenOn, openSocket } from '../vmm-core/kvm/net/sockets.ts';
import { IoBuffer } from '../vmm-core/memory/ioBuffer.ts';
import { FakeGuestFrame, FakeGuestPort } from '../test/support/fakeGuestPort.ts';

/** As a guest that has its buffers full of frames. */
const BURST = 32;

/** Counts what comes, and keeps nothing. */
class CountingPort extends FakeGuestPort {
  count = 0;
  override commit(): void {
    this.count++;
  }
}

function joined(folder: string, n: number): { port: CountingPort; link: ReturnType<typeof attach> } {
  const mac = Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd0, 0, n);
  const port = new CountingPort({ mac });
  const host = {
    ...{ vmName: `vm${n}`, name: 'net0', index: 0, mac, mtu: 1500, pairs: 1 },
    send: () => undefined,
    trouble: (sentence: string) => console.error(sentence),
  };
  const link = attach(open({ kind: 'switch', switch: folder }, host).opened, port);
  port.connect(link);
  return { port, link };
}

function measured(seconds: number, count: () => number, turn: () => void): void {
  while (count() === 0) turn();
  const first = count();
  const start = performance.now();
  while (performance.now() - start < seconds * 1000) turn();
  console.log((count() - first) / (performance.now() - start));
  process.exit(0);
}

function receiveBySwitch(folder: string, seconds: number): void {
  const { port } = joined(folder, 1);
  console.log('ready');
  measured(
    seconds,
    () => port.count,
    () => port.turn(10),
  );
}

function sendBySwitch(folder: string, lengthBytes: number): void {
  const { port, link } = joined(folder, 2);
  const bytes = new Uint8Array(lengthBytes).fill(1);
  bytes.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...port.mac]);
  // What is longer than the MTU is a segment, which the receiver takes whole.
  const segment = { flags: 1, gsoType: 1, gsoSize: 1460, hdrLen: 54, csumStart: 34, csumOffset: 16 };
  const frame = new FakeGuestFrame(bytes, lengthBytes > 1514 ? segment : noOffload());
  for (;;) {
    port.drops.length = 0;
    for (let i = 0; i < BURST && port.drops.length === 0; i++) link.send(frame, 0);
    link.onSent?.();
    port.turn();
  }
}

function receiveBySocket(folder: string, seconds: number): void {
  const listener = openSocket(AF_UNIX, SOCK_SEQPACKET);
  bindSocket(listener, { family: 'unix', path: path.join(folder, 'socket') });
  listenOn(listener, 1);
  console.log('ready');
  let fd = -1;
  const buffer = new IoBuffer(MAX_FRAME_BYTES);
  const message = new KernelMessage([]);
  let count = 0;
  measured(
    seconds,
    () => count,
    () => {
      if (fd < 0) fd = acceptFrom(listener);
      for (let i = 0; i < BURST && fd >= 0; i++) {
        message.clear();
        message.addBuffer(buffer, 0, MAX_FRAME_BYTES);
        if (message.receive(fd) <= 0) return;
        count++;
      }
    },
  );
}

function sendBySocket(folder: string, lengthBytes: number): void {
  const fd = openSocket(AF_UNIX, SOCK_SEQPACKET);
  connectSocket(fd, { family: 'unix', path: path.join(folder, 'socket') });
  const buffer = new IoBuffer(lengthBytes);
  const message = new KernelMessage([]);
  for (;;) {
    message.clear();
    message.addBuffer(buffer, 0, lengthBytes);
    message.send(fd);
  }
}

const [role, way, folder = '', bytes, seconds] = process.argv.slice(2);
if (role === 'receive') (way === 'switch' ? receiveBySwitch : receiveBySocket)(folder, Number(seconds));
else (way === 'switch' ? sendBySwitch : sendBySocket)(folder, Number(bytes));
