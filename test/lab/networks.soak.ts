/**
 * The user network under a stock Debian kernel for long: much data and many files with sums, many
 * connections, datagrams, the link going down in between, while all is captured: `npm run test:soak --
 * lab-networks`, which sets LAB_NET_…; without them it is short.
 */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, it, type TestContext } from 'node:test';
import { checkChunks, chunks } from './inside/chunks.ts';
import { LONG_MS, reasonToSkipDisks, vmm } from './inside/diskImages.ts';
import type { DiskGuest, DiskGuestOptions } from './inside/diskGuest.ts';
import { DISK } from './inside/labProtocol.ts';
import { serveEcho, serveIperf3 } from './inside/l1Network.ts';
import { bootNetGuest, configure, HOST, loadMicroseconds } from './inside/netGuest.ts';

const setting = (name: string, short: number): number => Number(process.env[name] ?? String(short));
const MIB = setting('LAB_NET_MIB', 8);
const FILES = setting('LAB_NET_FILES', 500);
const CONNECTIONS = setting('LAB_NET_CONNECTIONS', 200);
const SECONDS = setting('LAB_NET_SECONDS', 2);
const LOT = 500;
/** Two trees in its /tmp, which takes half of it. */
const TREE_MEMORY = '768M';
const IPERF3 = 5201;
const NAME = 'soaked';
/** L1's second disk. */
const TAR = '/dev/vdb';
/** Of more than a gigabyte, twice, by an emulated processor: the quickest there is. */
const TAR_SUM = 'md5';
const CAPTURE = path.join(DISK.mount, 'soak.pcapng');

describe('a stock Debian kernel on the user network for long', { skip: reasonToSkipDisks() }, () => {
  it('has all data as it was sent, down and up', async (t) => {
    const guest = await bootCaptured(t);
    const down = await sender(t, () => chunks(MIB));
    const downUs = await loadMicroseconds(guest, `down ${HOST} ${down}`, MIB, LONG_MS);
    const { port: up, ended } = await receiver(t, (client) => checkChunks(client, MIB));
    const upUs = await loadMicroseconds(guest, `up ${HOST} ${up}`, MIB, LONG_MS);
    await ended;
    const rate = (us: number): string => ((MIB * 1e6) / us).toFixed(1);
    t.diagnostic(`${MIB} MiB: ${rate(downUs)} MiB/s down, ${rate(upUs)} MiB/s up`);
    await powerOff(t, guest);
  });

  it('sends a tree of many files, which is the same at the other end', async (t) => {
    const guest = await bootCaptured(t, { memory: TREE_MEMORY });
    const sh = (line: string): Promise<string> => guest.sh(`cd /tmp && ${line}`, LONG_MS);
    await sh(`mkdir tree && netLoad tree tree ${FILES}`);
    const received = await receiver(t, (client) => summed(client));
    const echo = await serveEcho(t);
    // Up to a host that sums it, then there and back, unpacked and compared.
    await sh(`tar -cf - tree | socat -u - TCP:${HOST}:${received.port}`);
    const here = await sh('tar -cf - tree | sha256sum');
    assert.equal((await received.ended).sum, here.split(' ')[0]);
    await sh(`mkdir back && tar -cf - tree | socat -t 600 - TCP:${HOST}:${echo} | tar -C back -xf -`);
    await sh(`netLoad isTree back/tree ${FILES}`);
    const names = (folder: string): Promise<string> => sh(`cd ${folder} && find . | sort | sha256sum`);
    assert.equal(await names('back/tree'), await names('tree'));
    await powerOff(t, guest);
  });

  it('passes the source of Linux on as it comes', { skip: reasonToSkipTar() }, async (t) => {
    const guest = await bootCaptured(t);
    const file = createHash(TAR_SUM);
    const down = await sender(t, () => summing(createReadStream(TAR, { highWaterMark: 1 << 20 }), file));
    const received = await receiver(t, (client) => summed(client, TAR_SUM));
    await guest.sh(`socat -b 262144 -u TCP:${HOST}:${down} TCP:${HOST}:${received.port}`, LONG_MS);
    const { bytes, sum } = await received.ended;
    assert.equal(sum, file.digest('hex'));
    t.diagnostic(`${bytes} bytes`);
    await powerOff(t, guest);
  });

  it('opens many connections, one after another, before and after its link was down', async (t) => {
    const echo = await serveEcho(t);
    const guest = await bootCaptured(t);
    const half = CONNECTIONS / 2;
    await openInLots(t, guest, echo, half);
    const carrier = (value: number): string =>
      `until [ "$(cat /sys/class/net/eth0/carrier)" = ${value} ]; do usleep 20000; done`;
    await vmm('net', NAME, 'down', 'net0');
    await guest.sh(carrier(0));
    await vmm('net', NAME, 'up', 'net0');
    await guest.sh(carrier(1));
    await configure(guest);
    await openInLots(t, guest, echo, half);
    await powerOff(t, guest);
  });

  it('sends and gets as much as goes, and counts datagrams', async (t) => {
    await serveIperf3(t, IPERF3);
    const guest = await bootCaptured(t);
    for (const options of ['', '-R', '-u -b 20M -l 1400', '-u -b 20M -l 1400 -R']) {
      const text = await guest.sh(`iperf3 -c ${HOST} -p ${IPERF3} -t ${SECONDS} -J ${options}`, LONG_MS);
      const { end } = JSON.parse(text) as { end: Iperf3End };
      if (options.includes('-u')) {
        const { packets = 0, lost_packets: lost = 0 } = end.sum ?? {};
        t.diagnostic(`datagrams ${options}: ${packets}, lost ${lost}`);
        assert.ok(packets > 0 && lost < packets);
      } else {
        const { bits_per_second: rate = 0 } = end.sum_received ?? {};
        t.diagnostic(`TCP ${options}: ${(rate / 1e9).toFixed(2)} Gb/s`);
        assert.ok(rate > 0);
      }
    }
    await powerOff(t, guest);
  });
});

function reasonToSkipTar(): string | false {
  return process.env['LAB_NET_TAR'] === '1' ? false : 'LAB_NET_TAR is not set: L1 has no disk with a tar';
}

interface Iperf3End {
  readonly sum?: { readonly packets: number; readonly lost_packets: number };
  readonly sum_received?: { readonly bits_per_second: number };
}

/** In lots, each of which tells how far it is. */
async function openInLots(t: TestContext, guest: DiskGuest, port: number, count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += LOT) {
    const lot = Math.min(LOT, count - opened);
    const us = await loadMicroseconds(guest, `short ${HOST} ${port}`, lot, LONG_MS);
    t.diagnostic(`${opened + lot} of ${count} connections: ${((lot * 1e6) / us).toFixed()} a second`);
  }
}

/** All its frames are written to two files in turn, which are removed at the end. */
async function bootCaptured(t: TestContext, options: DiskGuestOptions = {}): Promise<DiskGuest> {
  const guest = await bootNetGuest(t, { ...options, networks: ['user'], more: ['--name', NAME] });
  t.after(() => Promise.all([CAPTURE, `${CAPTURE}.1`].map((it) => rm(it, { force: true }))));
  await configure(guest);
  await vmm('net', NAME, 'capture', 'net0', CAPTURE, '--rotate', '4M', '--files', '2', '--snap', '96');
  return guest;
}

/** A test that comes so far is a round of the soak. */
async function powerOff(t: TestContext, guest: DiskGuest): Promise<void> {
  assert.match(await vmm('net', NAME, 'capture', 'net0', 'stop'), /^[1-9]\d* frames in /);
  assert.equal(await guest.powerOff(), 0);
  t.diagnostic('rounds: 1');
}

async function* summing(source: AsyncIterable<Buffer>, hash: Hash): AsyncIterable<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

interface Received {
  readonly bytes: number;
  readonly sum: string;
}

/** Of one connection, of which `take` takes all. */
async function receiver<T>(
  t: TestContext,
  take: (client: Socket) => Promise<T>,
): Promise<{ port: number; ended: Promise<T> }> {
  const server = createServer();
  const port = await listening(t, server);
  return { port, ended: once(server, 'connection').then(([client]) => take(client as Socket)) };
}

async function summed(client: Socket, algorithm = 'sha256'): Promise<Received> {
  const hash = createHash(algorithm);
  let bytes = 0;
  for await (const chunk of client as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sum: hash.digest('hex') };
}

/** All that connect are sent the same. */
function sender(t: TestContext, source: () => Iterable<Buffer> | AsyncIterable<Buffer>): Promise<number> {
  const serve = (client: Socket): void => {
    pipeline(Readable.from(source()), client).catch(() => undefined); // seen at the other end
  };
  return listening(t, createServer(serve));
}

async function listening(t: TestContext, server: Server): Promise<number> {
  t.after(() => server.close());
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port; // of a TCP socket
}
