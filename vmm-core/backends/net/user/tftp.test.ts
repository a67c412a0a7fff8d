import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { Arrivals } from '../../../../test/support/deadline.ts';
import { GUEST, HOST, UserGuest } from '../../../../test/support/userGuest.ts';
import { SharedFolder } from './sharedFolder.ts';
import { MAX_TRANSFERS, READ_BYTES, TftpServer } from './tftp.ts';
import { TftpFolder, type TftpTold } from './tftpFolder.ts';

const PEER = { address: Uint8Array.from(GUEST), port: 2000 };
const [RRQ, WRQ, DATA, ACK, ERROR, OACK] = [1, 2, 3, 4, 5, 6];

/** A server over a file in memory, which is read at once. */
class Server {
  readonly sent: { port: number; opcode: number; value: number; bytes: Uint8Array }[] = [];
  readonly closed: number[] = [];
  readonly server: TftpServer;
  nowMs = 0;

  constructor(content: Uint8Array | undefined, mtu = 1500) {
    const offsets = new Map<number, number>();
    this.server = new TftpServer(
      {
        open: (id) => {
          offsets.set(id, 0);
          if (content === undefined) this.server.failed(id, 1, 'file not found');
          else this.server.opened(id, content.length, this.nowMs);
        },
        read: (id) => {
          const at = offsets.get(id) ?? 0;
          const bytes = content?.subarray(at, at + READ_BYTES) ?? new Uint8Array(0);
          offsets.set(id, at + bytes.length);
          this.server.data(id, bytes, this.nowMs);
        },
        close: (id) => this.closed.push(id),
      },
      (_, port, bytes) => {
        const value = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
        this.sent.push({ port, opcode: bytes[1] ?? 0, value, bytes: bytes.slice() });
      },
      mtu,
    );
  }

  ask(opcode: number, name: string, mode = 'octet', options: Record<string, number | string> = {}): void {
    const words = [name, mode, ...Object.entries(options).flatMap(([key, value]) => [key, String(value)])];
    this.server.onRequest(
      PEER,
      new Bytes(false)
        .u16(opcode)
        .cstring(...words)
        .done(),
      this.nowMs,
    );
  }

  ack(block: number, port = this.sent.at(-1)?.port ?? 0): void {
    this.server.onDatagram(PEER, port, new Bytes(false).u16(ACK, block & 0xffff).done(), this.nowMs);
  }

  /** All of the file, acknowledging each window. */
  fetch(window = 1, blockBytes = 512): Buffer {
    const parts: Uint8Array[] = [];
    let expected = 1;
    for (;;) {
      let last = false;
      let count = 0;
      for (const { opcode, value, bytes } of this.sent.splice(0)) {
        assert.equal(opcode, DATA);
        assert.equal(value, expected & 0xffff);
        expected++;
        count++;
        parts.push(bytes.subarray(4));
        last = bytes.length - 4 < blockBytes;
      }
      assert.ok(count <= window, 'more than a window is under way');
      assert.ok(count > 0, 'nothing has come');
      this.ack(expected - 1, 49152);
      if (last) break;
    }
    return Buffer.concat(parts);
  }
}

const pattern = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31) ^ (index >> 8));

for (const length of [0, 1, 511, 512, 513, 5000, 200_000])
  test(`a file of ${length} bytes is fetched block by block (RFC 1350)`, () => {
    const it = new Server(pattern(length));
    it.ask(RRQ, 'kernel');
    assert.deepEqual(it.fetch(), Buffer.from(pattern(length)));
    assert.equal(it.server.count, 0);
    assert.deepEqual(it.closed, [0]);
  });

test('a request that comes again, before the first answer is acknowledged, begins nothing new', () => {
  const it = new Server(pattern(1000));
  it.ask(RRQ, 'kernel', 'octet', { blksize: 600 });
  it.ask(RRQ, 'kernel', 'octet', { blksize: 600 });
  const [answer, more] = it.sent.splice(0);
  assert.deepEqual([answer?.opcode, more, it.server.count], [OACK, undefined, 1]);
  it.ack(0, answer?.port);
  it.ask(RRQ, 'kernel', 'octet', { blksize: 600 });
  assert.deepEqual(it.fetch(1, 600), Buffer.from(pattern(1000)));
});

test('another file, asked for from the same port, takes the place of the first', () => {
  const it = new Server(pattern(1000));
  it.ask(RRQ, 'kernel');
  it.ask(RRQ, 'initrd');
  assert.deepEqual([it.server.count, it.closed], [1, [0]]);
});

test('where a block does not fit the MTU it is whole all the same: a short one is the end of the file', () => {
  const it = new Server(pattern(5000), 300);
  it.ask(RRQ, 'kernel');
  assert.deepEqual(it.fetch(), Buffer.from(pattern(5000)));
});

test('options are taken as far as we can, and acknowledged before the first block (RFC 2347 to 2349, 7440)', () => {
  const it = new Server(pattern(300_000));
  it.ask(RRQ, 'kernel', 'OCTET', { blksize: 65464, TSIZE: 0, timeout: 3, windowsize: 16, unknown: 5 });
  const [oack] = it.sent.splice(0);
  assert.equal(oack?.opcode, OACK);
  assert.equal(
    Buffer.from(oack.bytes.subarray(2)).toString(),
    'blksize\x001448\0timeout\x003\0tsize\x00300000\0windowsize\x0016\0',
  );
  it.ack(0, oack.port);
  assert.equal(it.sent.length, 16);
  assert.deepEqual(it.fetch(16, 1448), Buffer.from(pattern(300_000)));
});

test('block numbers go on from 0 after 65535', () => {
  const content = pattern(8 * 70_000 + 3);
  const it = new Server(content);
  it.ask(RRQ, 'kernel', 'octet', { blksize: 8, windowsize: 64 });
  const [oack] = it.sent.splice(0);
  it.ack(0, oack?.port);
  assert.deepEqual(it.fetch(64, 8), Buffer.from(content));
});

test('of a window that was lost in part, the rest goes again (RFC 7440 §4)', () => {
  const it = new Server(pattern(5000));
  it.ask(RRQ, 'kernel', 'octet', { windowsize: 4 });
  const [oack] = it.sent.splice(0);
  it.ack(0, oack?.port);
  assert.deepEqual(
    it.sent.splice(0).map(({ value }) => value),
    [1, 2, 3, 4],
  );
  it.ack(2, 49152);
  assert.deepEqual(
    it.sent.splice(0).map(({ value }) => value),
    [3, 4, 5, 6],
  );
});

test('in lock step an acknowledgement that comes twice is not answered (RFC 1123 §4.2.3.1)', () => {
  const it = new Server(pattern(5000));
  it.ask(RRQ, 'kernel');
  it.ack(1);
  it.ack(1);
  assert.deepEqual(
    it.sent.map(({ value }) => value),
    [1, 2],
  );
});

test('what is not acknowledged goes again, and a client that is gone is given up', () => {
  const it = new Server(pattern(5000));
  it.ask(RRQ, 'kernel');
  assert.equal(it.server.onTimer(0), 1000);
  for (it.nowMs = 1000; it.server.count > 0; it.nowMs += 1000) it.server.onTimer(it.nowMs);
  assert.deepEqual(
    it.sent.map(({ opcode, value }) => [opcode, value]),
    [...Array<number[]>(6).fill([DATA, 1]), [ERROR, 0]],
  );
  assert.deepEqual(it.closed, [0]);
});

test('netascii has lines end with CR LF, and no size (RFC 1350, RFC 2349)', () => {
  const it = new Server(Buffer.from('one\ntwo\rthree'));
  it.ask(RRQ, 'motd', 'netascii', { tsize: 0 });
  assert.equal(Buffer.from(it.sent[0]?.bytes.subarray(4) ?? []).toString(), 'one\r\ntwo\r\0three');
});

test('writes, unknown modes and what is no request are refused', () => {
  const it = new Server(pattern(10));
  it.ask(WRQ, 'kernel');
  it.ask(RRQ, 'kernel', 'mail');
  it.server.onRequest(PEER, Uint8Array.of(0, RRQ, 65, 66), 0);
  it.server.onRequest(PEER, Uint8Array.of(0, 9), 0);
  assert.deepEqual(
    it.sent.map(({ opcode, value }) => [opcode, value]),
    [
      [ERROR, 2],
      [ERROR, 4],
      [ERROR, 4],
    ],
  );
});

test('a file that is not there is an error to the client', () => {
  const it = new Server(undefined);
  it.ask(RRQ, 'kernel');
  assert.deepEqual([it.sent[0]?.opcode, it.sent[0]?.value], [ERROR, 1]);
  assert.equal(it.server.count, 0);
});

test('a guest has a bounded number of transfers', () => {
  const it = new Server(pattern(100_000));
  for (let port = 0; port < 1000; port++)
    it.server.onRequest({ ...PEER, port }, new Bytes(false).u16(RRQ).cstring('kernel', 'octet').done(), 0);
  assert.equal(it.server.count, MAX_TRANSFERS);
  it.server.reset();
  assert.equal(it.server.count, 0);
  assert.equal(it.closed.length, MAX_TRANSFERS);
});

test('a guest that asks and gives up has main open a bounded number of files at a time', () => {
  const asked: number[] = [];
  const files = { open: (id: number) => asked.push(id), read: () => undefined, close: () => undefined };
  const server = new TftpServer(files, () => undefined, 1500);
  const flood = (): void => {
    for (let i = 0; i < 1000; i++) {
      server.onRequest(PEER, new Bytes(false).u16(RRQ).cstring('kernel', 'octet').done(), 0);
      server.onDatagram(PEER, 49152 + (asked.at(-1) ?? 0), new Bytes(false).u16(ERROR, 0).done(), 0);
    }
  };
  flood();
  assert.equal(asked.length, MAX_TRANSFERS);
  assert.equal(server.count, 0);
  server.opened(0, 100, 0);
  server.failed(1, 1, 'file not found');
  flood();
  assert.equal(asked.length, MAX_TRANSFERS + 2);
});

const root = mkdtempSync(join(tmpdir(), 'tftp-'));
after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, 'shared/sub'), { recursive: true });
writeFileSync(join(root, 'secret'), 'secret');
writeFileSync(join(root, 'shared/sub/kernel'), pattern(100_000));
writeFileSync(join(root, 'shared-too'), 'secret');
symlinkSync('../secret', join(root, 'shared/way-out'));
symlinkSync('..', join(root, 'shared/up'));
symlinkSync('sub/kernel', join(root, 'shared/inside'));

for (const [name, expected] of [
  ['sub/kernel', 'tftpOpened'],
  ['/sub/kernel', 'tftpOpened'],
  ['sub\\kernel', 'tftpOpened'],
  ['inside', 'tftpOpened'],
  ['../shared/sub/kernel', 'tftpFailed'],
  ['../secret', 'tftpFailed'],
  ['/../secret', 'tftpFailed'],
  ['way-out', 'tftpFailed'],
  ['up/secret', 'tftpFailed'],
  ['../shared-too', 'tftpFailed'],
  ['sub', 'tftpFailed'],
  ['sub/kernel\0x', 'tftpFailed'],
  ['none', 'tftpFailed'],
])
  test(`of the folder, ${JSON.stringify(name)} is ${expected === 'tftpOpened' ? 'served' : 'not served'}`, async () => {
    const told = new Arrivals<TftpTold>('an answer of the folder');
    const folder = new TftpFolder(new SharedFolder(join(root, 'shared'), 'the TFTP folder'), (it) =>
      told.put(it),
    );
    folder.onAsked({ kind: 'tftpOpen', id: 1, name: name as string });
    assert.equal((await told.take()).kind, expected);
    folder.close();
  });

test('a file is read piece by piece, to its end', async () => {
  const told = new Arrivals<TftpTold>('an answer of the folder');
  const folder = new TftpFolder(new SharedFolder(join(root, 'shared'), 'the TFTP folder'), (it) =>
    told.put(it),
  );
  folder.onAsked({ kind: 'tftpOpen', id: 1, name: 'inside' });
  assert.deepEqual(await told.take(), { kind: 'tftpOpened', id: 1, sizeBytes: 100_000 });
  const parts: Uint8Array[] = [];
  for (let more = true; more;) {
    folder.onAsked({ kind: 'tftpRead', id: 1 });
    const data = await told.take();
    assert.equal(data.kind, 'tftpData');
    parts.push(data.bytes);
    more = data.bytes.length > 0;
  }
  assert.deepEqual(Buffer.concat(parts), Buffer.from(pattern(100_000)));
  folder.close();
});

test('a file that is given up before it is open is answered all the same', async () => {
  const told = new Arrivals<TftpTold>('an answer of the folder');
  const folder = new TftpFolder(new SharedFolder(join(root, 'shared'), 'the TFTP folder'), (it) =>
    told.put(it),
  );
  for (const [id, name] of ['inside', 'none'].entries()) {
    folder.onAsked({ kind: 'tftpOpen', id, name });
    folder.onAsked({ kind: 'tftpClose', id });
    assert.equal((await told.take()).kind, name === 'none' ? 'tftpFailed' : 'tftpOpened');
  }
  folder.close();
});

test('a folder that is not there, or is none, is an error of the start', () => {
  assert.throws(
    () => new SharedFolder(join(root, 'none'), 'the TFTP folder'),
    /cannot use .*none" as the TFTP folder: no such file/,
  );
  assert.throws(() => new SharedFolder(join(root, 'secret'), 'the TFTP folder'), /it is not a directory/);
});

test('over the wire: a request to the virtual host is asked of main, and answered from a port of its own', () => {
  const it = new UserGuest({ opened: { hasTftp: true } });
  it.sendUdp(GUEST, 2000, HOST, 69, new Bytes(false).u16(RRQ).cstring('kernel', 'octet').done());
  assert.deepEqual(it.told, [{ kind: 'tftpOpen', id: 0, name: 'kernel' }]);
  it.link.onMessage({ kind: 'tftpOpened', id: 0, sizeBytes: 3 });
  it.link.onMessage({ kind: 'tftpData', id: 0, bytes: Uint8Array.of(1, 2, 3) });
  it.link.onMessage({ kind: 'tftpData', id: 0, bytes: new Uint8Array(0) });
  const block = it.one();
  assert.deepEqual([block.from, block.sourcePort, block.destinationPort], ['10.0.2.2', 49152, 2000]);
  assert.deepEqual([...block.data], [0, DATA, 0, 1, 1, 2, 3]);
  it.sendUdp(GUEST, 2000, HOST, 49152, Uint8Array.of(0, ACK, 0, 1));
  assert.deepEqual(it.told.at(-1), { kind: 'tftpClose', id: 0 });
  it.close();
});
