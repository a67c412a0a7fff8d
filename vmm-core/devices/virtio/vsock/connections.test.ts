import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  CREDIT_UPDATE,
  REQUEST,
  RESPONSE,
  RST,
  RW,
  SHUTDOWN,
  RCV,
  SEND,
  PLENTY,
  GUEST_PORT,
  ENDS,
  connected,
  ops,
  dataOf,
  pattern,
  drain,
} from '../../../../test/support/vsockTest.ts';
import { STATE } from './vsockState.ts';

describe('the end of a connection (§5.10.6.5)', () => {
  it('by the guest: half, then the program answers, then the other half', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: Buffer.from('question') });
    vsock.send({ op: SHUTDOWN, ...ENDS, ...PLENTY, flags: SEND });
    assert.equal(program.text(), 'question');
    assert.equal(program.isEnded, true);
    program.send('answer');
    program.close();
    vsock.run();
    const packets = vsock.received();
    assert.equal(dataOf(packets).toString(), 'answer');
    assert.deepEqual([packets.at(-1)?.op, packets.at(-1)?.flags], [SHUTDOWN, RCV | SEND]);
    vsock.send({ op: RST, ...ENDS });
    assert.ok(vsock.block.regs.connectionState.every((it) => it === STATE.free));
  });

  it('by the program: half, then the guest answers, then the other half', (t) => {
    const { vsock, program } = connected(t);
    program.send('question');
    program.endSending();
    vsock.run();
    const packets = vsock.received();
    assert.equal(dataOf(packets).toString(), 'question');
    assert.deepEqual([packets.at(-1)?.op, packets.at(-1)?.flags], [SHUTDOWN, SEND]);
    vsock.wait(10_000);
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: Buffer.from('answer') });
    assert.equal(program.text(), 'answer');
    vsock.send({ op: SHUTDOWN, ...ENDS, ...PLENTY, flags: SEND | RCV });
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(program.isEnded, true);
  });

  it('by the guest while the program has not read: all arrives, and the guest need not wait', (t) => {
    const { vsock, program } = connected(t);
    let sent = 0;
    for (; sent < 4_000_000 && vsock.core.connections.backlogs.lengthBytes(0) < 100_000; sent += 50_000) {
      vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(50_000) });
      vsock.received();
    }
    assert.ok(vsock.core.connections.backlogs.lengthBytes(0) > 0);
    vsock.send({ op: SHUTDOWN, ...ENDS, ...PLENTY, flags: SEND | RCV });
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(vsock.block.regs.connectionState[0], STATE.draining);
    vsock.listen(5);
    vsock.send({ op: REQUEST, srcPort: GUEST_PORT, dstPort: 5, ...PLENTY });
    assert.deepEqual(ops(vsock.received()), [RESPONSE]);
    assert.equal(drain(program, vsock).length, sent);
    assert.equal(program.isEnded, true);
    assert.equal(vsock.block.regs.connectionState[0], STATE.free);
  });

  it('by a reset of the device: what the guest has sent arrives, even if no driver ever comes back', (t) => {
    const { vsock, program } = connected(t);
    let sent = 0;
    for (; vsock.core.connections.backlogs.lengthBytes(0) < 100_000; sent += 50_000) {
      vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(50_000) });
      vsock.received();
    }
    vsock.core.pause();
    vsock.core.reset();
    assert.equal(drain(program, vsock).length, sent);
    assert.equal(program.isEnded, true);
    assert.equal(vsock.block.regs.connectionState[0], STATE.free);
  });

  it('by a program that reads no more: the guest is told, and what it sends goes nowhere', (t) => {
    const { vsock, program } = connected(t);
    program.endReceiving();
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(50_000) });
    const [shutdown] = vsock.received();
    assert.deepEqual([shutdown?.op, shutdown?.flags], [SHUTDOWN, RCV]);
    for (let i = 0; i < 20; i++) vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(50_000) });
    assert.ok(vsock.received().every(({ op }) => op === CREDIT_UPDATE));
    program.send('still here');
    vsock.run();
    assert.equal(dataOf(vsock.received()).toString(), 'still here');
  });

  it('by a program: the guest has two seconds, and then it is reset', (t) => {
    const { vsock, program } = connected(t);
    program.close();
    vsock.run();
    const [shutdown] = vsock.received();
    assert.deepEqual([shutdown?.op, shutdown?.flags], [SHUTDOWN, RCV | SEND]);
    vsock.wait(1999);
    assert.deepEqual(vsock.received(), []);
    vsock.wait(1);
    assert.deepEqual(ops(vsock.received()), [RST]);
  });

  it('by a program that has not read all: it is an end as any other', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(100) });
    program.send('bye');
    program.close();
    vsock.run();
    const packets = vsock.received();
    assert.equal(dataOf(packets).toString(), 'bye');
    assert.deepEqual([packets.at(-1)?.op, packets.at(-1)?.flags], [SHUTDOWN, RCV | SEND]);
  });

  it('of what the guest reads: the program cannot write', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: SHUTDOWN, ...ENDS, ...PLENTY, flags: RCV });
    assert.ok(program.send('x') < 0);
    program.close();
    vsock.run();
    assert.deepEqual(ops(vsock.received()), [SHUTDOWN]);
  });

  it('of what the program reads, and then of what the guest reads: the guest is told once', (t) => {
    const { vsock, program } = connected(t);
    program.endReceiving();
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(1) });
    assert.equal(vsock.received().at(-1)?.flags, RCV);
    vsock.send({ op: SHUTDOWN, ...ENDS, ...PLENTY, flags: RCV });
    program.close();
    vsock.run();
    const packets = vsock.received();
    assert.deepEqual(ops(packets), [SHUTDOWN]);
    assert.equal(packets[0]?.flags, RCV | SEND);
    vsock.wait(2000);
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(vsock.block.regs.connectionState[0], STATE.free);
  });

  it('of what the guest sends makes more data an error', (t) => {
    const { vsock } = connected(t);
    vsock.send({ op: SHUTDOWN, ...ENDS, ...PLENTY, flags: SEND });
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(1) });
    assert.deepEqual(ops(vsock.received()), [RST]);
  });
});
