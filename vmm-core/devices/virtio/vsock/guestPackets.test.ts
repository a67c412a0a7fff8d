import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as abi from '../../../abi/virtioVsock.ts';
import { readable, writable } from '../../../../test/support/mockDriver.ts';
import { GUEST_CID, headerBytes, type Packet } from '../../../../test/support/vsockMachine.ts';
import {
  CREDIT_REQUEST,
  CREDIT_UPDATE,
  REQUEST,
  RESPONSE,
  RST,
  RW,
  SHUTDOWN,
  SEND,
  BUFFER,
  PLENTY,
  GUEST_PORT,
  HOST_PORT,
  ENDS,
  machine,
  connected,
  ops,
  dataOf,
  pattern,
  drain,
} from '../../../../test/support/vsockTest.ts';
import { RX_QUEUE } from './vsockState.ts';

describe('credit (§5.10.6.3)', () => {
  it('is never exceeded by the host, however much the program sends', (t) => {
    const { vsock, program } = connected(t, { bufAlloc: 1000 });
    program.send(pattern(5000));
    vsock.run();
    const first = vsock.received();
    assert.equal(dataOf(first).length, 1000);
    assert.deepEqual(ops(first).slice(-1), [CREDIT_REQUEST]);
    vsock.send({ op: CREDIT_UPDATE, ...ENDS, bufAlloc: 1000, fwdCnt: 0 });
    assert.deepEqual(vsock.received(), [], 'it is not asked for again and again');
    vsock.send({ op: CREDIT_UPDATE, ...ENDS, bufAlloc: 1000, fwdCnt: 400 });
    const second = vsock.received();
    assert.equal(dataOf(second).length, 400);
    vsock.send({ op: CREDIT_UPDATE, ...ENDS, bufAlloc: 100_000, fwdCnt: 1400 });
    assert.deepEqual(dataOf([...first, ...second, ...vsock.received()]), Buffer.from(pattern(5000)));
  });

  it('counts modulo 2^32', (t) => {
    const { vsock, program } = connected(t);
    const { regs } = vsock.block;
    const almost = 2 ** 32 - 100;
    for (const column of [regs.receivedBytes, regs.forwardedBytes, regs.sentBytes, regs.peerFwdCnt])
      column[0] = almost;
    vsock.send({ op: RW, ...ENDS, bufAlloc: 300, fwdCnt: almost, data: pattern(250) });
    assert.equal(drain(program, vsock).length, 250);
    assert.equal(regs.forwardedBytes[0], 150);
    program.send(pattern(1000));
    vsock.run();
    assert.equal(dataOf(vsock.received()).length, 300);
    vsock.send({ op: CREDIT_UPDATE, ...ENDS, bufAlloc: 300, fwdCnt: 200 });
    assert.equal(dataOf(vsock.received()).length, 300);
    assert.equal(regs.sentHigh[0], 1);
  });

  it('that is nonsense counts as none', (t) => {
    const { vsock, program } = connected(t, { bufAlloc: 1000 });
    vsock.send({ op: CREDIT_UPDATE, ...ENDS, bufAlloc: 1000, fwdCnt: 77 });
    program.send('x');
    vsock.run();
    assert.deepEqual(ops(vsock.received()), [CREDIT_REQUEST]);
  });

  it('of the host is told when it is asked for, and when half of it is used', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: CREDIT_REQUEST, ...ENDS, ...PLENTY });
    const [update] = vsock.received();
    assert.deepEqual([update?.op, update?.bufAlloc, update?.fwdCnt], [CREDIT_UPDATE, BUFFER, 0]);
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(65536) });
    assert.deepEqual(vsock.received(), []);
    drain(program, vsock);
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(65536) });
    drain(program, vsock);
    const [second] = vsock.received();
    assert.deepEqual([second?.op, second?.fwdCnt], [CREDIT_UPDATE, 131072]);
  });

  it('of the host is exceeded by a guest that is then reset', (t) => {
    const { vsock, program } = connected(t);
    let sent = 0;
    let packets: Packet[] = [];
    for (; packets.length === 0 || packets[0]?.op === CREDIT_UPDATE; sent += 65536) {
      vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(65536) });
      packets = vsock.received();
    }
    assert.deepEqual(ops(packets), [RST]);
    const taken = sent - 65536;
    assert.equal(drain(program, vsock).length, taken, 'what was within it arrives');
    assert.equal(program.isEnded, true);
  });

  it('waits in the host until the program reads, and nothing is lost or reordered', (t) => {
    const { vsock, program } = connected(t);
    const data = pattern(2 << 20, 5);
    const heard: Buffer[] = [];
    let fwdCnt = 0;
    for (let at = 0; at < data.length;) {
      const part = data.subarray(at, at + Math.min(65536, BUFFER - (at - fwdCnt)));
      if (part.length > 0) vsock.send({ op: RW, ...ENDS, ...PLENTY, data: part });
      at += part.length;
      for (const it of vsock.received()) fwdCnt = it.fwdCnt;
      if (part.length === 0) {
        heard.push(Buffer.from(program.receive(30_000) ?? []));
        vsock.run();
        vsock.send({ op: CREDIT_REQUEST, ...ENDS, ...PLENTY });
      }
    }
    heard.push(drain(program, vsock));
    assert.deepEqual(Buffer.concat(heard), Buffer.from(data));
  });
});

describe('what a guest does wrong', () => {
  const cases: Readonly<Record<string, Partial<Packet> & Pick<Packet, 'op'>>> = {
    'an unknown operation': { op: 99 },
    'the invalid operation': { op: abi.VIRTIO_VSOCK_OP_INVALID },
    'another type': { op: REQUEST, type: abi.VIRTIO_VSOCK_TYPE_SEQPACKET },
    'an unknown type': { op: RW, type: 7 },
    'another address': { op: REQUEST, dstCid: 5 },
    'an address of 64 bits': { op: REQUEST, dstCid: 2 ** 32 + 2 },
    'data without a connection': { op: RW, data: pattern(10) },
    'an end without a connection': { op: SHUTDOWN, flags: SEND },
    'an acceptance of nothing': { op: RESPONSE },
    'credit without a connection': { op: CREDIT_UPDATE },
  };
  for (const [name, packet] of Object.entries(cases))
    it(`${name} is reset, as what it was for`, (t) => {
      const vsock = machine(t);
      vsock.listen(HOST_PORT);
      vsock.send({ ...ENDS, ...packet });
      const [reset, ...rest] = vsock.received();
      assert.deepEqual(rest, []);
      assert.equal(reset?.op, RST);
      assert.equal(reset.type, packet.type ?? 1);
      assert.equal(reset.srcCid, packet.dstCid ?? 2);
      assert.deepEqual([reset.srcPort, reset.dstPort, reset.dstCid], [HOST_PORT, GUEST_PORT, GUEST_CID]);
    });

  it('a reset is never answered', (t) => {
    const vsock = machine(t);
    vsock.send({ op: RST, ...ENDS });
    vsock.send({ op: RST, ...ENDS, type: 9 });
    vsock.send({ op: RST, ...ENDS, dstCid: 77 });
    assert.deepEqual(vsock.received(), []);
  });

  it('a packet that says it is from somebody else, or has no header, is dropped', (t) => {
    const vsock = machine(t);
    vsock.send({ op: REQUEST, ...ENDS, srcCid: 4 });
    vsock.send({ op: REQUEST, ...ENDS, srcCid: 2 ** 32 + GUEST_CID });
    vsock.putRaw([headerBytes({ op: REQUEST }).subarray(0, 43)]);
    vsock.kick(1);
    vsock.run();
    assert.deepEqual(vsock.received(), []);
    assert.equal(vsock.areTaken, true);
    assert.equal(vsock.block.regs.malformed, 3);
  });

  for (const [name, len] of Object.entries({ 'is not there': 11, 'is too long': 65537, wraps: 2 ** 32 - 1 }))
    it(`data that ${name} resets its connection`, (t) => {
      const { vsock, program } = connected(t);
      vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(10), len });
      assert.deepEqual(ops(vsock.received()), [RST]);
      assert.equal(program.isEnded, true);
    });

  it('data behind what the header says is ignored', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: Buffer.from('hello and more'), len: 5 });
    assert.equal(program.text(), 'hello');
  });

  it('an unknown operation ends the connection that it is on', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: 8, ...ENDS });
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(program.isEnded, true);
  });

  it('data before it has accepted ends the connection', (t) => {
    const vsock = machine(t);
    const program = vsock.connect();
    program.send(`CONNECT ${GUEST_PORT}\n`);
    vsock.run();
    const [request] = vsock.received();
    const ends = { srcPort: GUEST_PORT, dstPort: request?.srcPort ?? 0 };
    vsock.send({ op: RW, ...ends, ...PLENTY, data: pattern(5) });
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(program.isEnded, true);
  });

  it('a receive buffer that has no room for data makes it need a reset', (t) => {
    const vsock = machine(t, { rxBuffers: 0 });
    vsock.offer([writable(44)]);
    vsock.send({ op: RW, ...ENDS });
    assert.match(vsock.broken[0] ?? '', /^§5\.10\.6\.2/);
  });

  it('a receive buffer may have a part to read, which is not touched', (t) => {
    const vsock = machine(t, { rxBuffers: 0 });
    vsock.offer([readable(pattern(50)), writable(100)]);
    vsock.send({ op: RW, ...ENDS });
    assert.equal(vsock.rx.used()[0]?.writtenBytes, 44);
  });
});

describe('a guest that does not receive (§5.10.6.1.2)', () => {
  it('is heard until its answers take too much room, and again when it has received', (t) => {
    const vsock = machine(t, { rxBuffers: 0, queueSize: 256 });
    for (let i = 0; i < 200; i++) vsock.put({ op: RW, srcPort: i, dstPort: 9 });
    vsock.kick(1);
    vsock.run();
    assert.equal(vsock.tx.used().length, 64);
    for (let i = 0; i < 200; i++) vsock.offer([writable(100)]);
    vsock.kick(RX_QUEUE);
    vsock.run();
    const ports = vsock.received().map(({ op, dstPort }) => (op === RST ? dstPort : -1));
    assert.deepEqual(
      ports,
      Array.from({ length: 200 }, (_, i) => i),
    );
    assert.equal(vsock.tx.used().length, 136);
  });

  it('keeps data in the sockets of programs, and loses none', (t) => {
    const { vsock, program } = connected(t);
    vsock.isRefilling = false;
    const data = pattern(150_000);
    assert.equal(program.send(data), data.length);
    vsock.run();
    const first = vsock.received();
    assert.equal(ops(first).length, 16);
    vsock.isRefilling = true;
    for (let i = 0; i < 8; i++) vsock.offer([writable(4096)]);
    vsock.kick(RX_QUEUE);
    vsock.run();
    assert.deepEqual(dataOf([...first, ...vsock.received()]), Buffer.from(data));
  });
});
