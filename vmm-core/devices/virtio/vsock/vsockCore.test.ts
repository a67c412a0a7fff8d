import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writable } from '../../../../test/support/mockDriver.ts';
import { GUEST_CID } from '../../../../test/support/vsockMachine.ts';
import {
  REQUEST,
  RESPONSE,
  RST,
  RW,
  SHUTDOWN,
  RCV,
  SEND,
  BUFFER,
  PLENTY,
  GUEST_PORT,
  HOST_PORT,
  ENDS,
  machine,
  connected,
  accepted,
  ops,
  dataOf,
  pattern,
  drain,
} from '../../../../test/support/vsockTest.ts';
import { STATE } from './vsockState.ts';

describe('a connection of the guest to the host', () => {
  it('goes to the unix socket with the port in its name, and is answered by RESPONSE', (t) => {
    const vsock = machine(t);
    const listener = vsock.listen(HOST_PORT);
    vsock.send({ op: REQUEST, ...ENDS, ...PLENTY });
    const [response, ...rest] = vsock.received();
    assert.deepEqual(rest, []);
    assert.deepEqual(
      { ...response, data: undefined },
      {
        ...{ op: RESPONSE, srcCid: 2, dstCid: GUEST_CID, srcPort: HOST_PORT, dstPort: GUEST_PORT },
        ...{ type: 1, flags: 0, len: 0, bufAlloc: BUFFER, fwdCnt: 0, data: undefined },
      },
    );
    assert.equal(listener.accept().receive(), undefined);
  });

  it('is reset where nobody listens', (t) => {
    const vsock = machine(t);
    vsock.send({ op: REQUEST, ...ENDS, ...PLENTY });
    const [reset] = vsock.received();
    assert.deepEqual([reset?.op, reset?.srcPort, reset?.dstPort], [RST, HOST_PORT, GUEST_PORT]);
  });

  it('carries data both ways, in packets of any framing', (t) => {
    const { vsock, program } = connected(t);
    const data = pattern(5000);
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data }, (all) => [
      all.subarray(0, 3),
      all.subarray(3, 43),
      all.subarray(43, 1000),
      all.subarray(1000),
    ]);
    assert.deepEqual(drain(program, vsock), Buffer.from(data));
    const answer = pattern(20_000, 3);
    assert.equal(program.send(answer), answer.length);
    vsock.run();
    const packets = vsock.received();
    assert.ok(packets.every(({ op, len }) => op === RW && len <= vsock.rxBytes - 44));
    assert.deepEqual(dataOf(packets), Buffer.from(answer));
  });

  it('has receive buffers that the driver has cut anywhere', (t) => {
    const vsock = machine(t, { rxBuffers: 0 });
    const listener = vsock.listen(HOST_PORT);
    for (let i = 0; i < 8; i++) vsock.offer([writable(1), writable(42), writable(3), writable(100)]);
    vsock.send({ op: REQUEST, ...ENDS, ...PLENTY });
    const program = listener.accept();
    program.send(pattern(600));
    vsock.run();
    const packets = vsock.received();
    assert.deepEqual(ops(packets), [RESPONSE, ...Array<number>(6).fill(RW)]);
    assert.deepEqual(dataOf(packets), Buffer.from(pattern(600)));
  });

  it('is reset by the guest, and the program reads to its end', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: RST, ...ENDS });
    assert.equal(program.isEnded, true);
    assert.deepEqual(vsock.received(), []);
  });

  it('is reset when it is requested twice', (t) => {
    const { vsock, program } = connected(t);
    vsock.send({ op: REQUEST, ...ENDS });
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(program.isEnded, true);
  });

  it('is refused when there are 1024 already, and works again when one has ended', (t) => {
    const vsock = machine(t);
    const listener = vsock.listen(HOST_PORT);
    for (let i = 0; i < 1024; i++) {
      vsock.send({ op: REQUEST, srcPort: i, dstPort: HOST_PORT, ...PLENTY });
      assert.deepEqual(ops(vsock.received()), [RESPONSE]);
      listener.accept();
    }
    vsock.send({ op: REQUEST, srcPort: 1024, dstPort: HOST_PORT });
    assert.deepEqual(ops(vsock.received()), [RST]);
    vsock.send({ op: RST, srcPort: 17, dstPort: HOST_PORT });
    vsock.send({ op: REQUEST, srcPort: 1024, dstPort: HOST_PORT });
    assert.deepEqual(ops(vsock.received()), [RESPONSE]);
  });
});

describe('a connection of a program to the guest', () => {
  it('begins with CONNECT, and OK with our port when the guest accepts', (t) => {
    const { vsock, program, ends } = accepted(t);
    assert.ok(ends.dstPort >= 2 ** 30);
    vsock.send({ op: RW, ...ends, ...PLENTY, data: Buffer.from('hello') });
    assert.equal(program.text(), 'hello');
    program.send('and you');
    vsock.run();
    assert.equal(dataOf(vsock.received()).toString(), 'and you');
  });

  it('keeps what is sent before the guest has accepted', (t) => {
    const vsock = machine(t);
    const program = vsock.connect();
    program.send(`CON`);
    vsock.run();
    program.send(`NECT ${GUEST_PORT}\nearly`);
    vsock.run();
    const [request, ...rest] = vsock.received();
    assert.deepEqual(rest, []);
    vsock.send({ op: RESPONSE, srcPort: GUEST_PORT, dstPort: request?.srcPort ?? 0, ...PLENTY });
    assert.equal(dataOf(vsock.received()).toString(), 'early');
  });

  it('ends when the guest refuses', (t) => {
    const vsock = machine(t);
    const program = vsock.connect();
    program.send(`CONNECT ${GUEST_PORT}\n`);
    vsock.run();
    const [request] = vsock.received();
    vsock.send({ op: RST, srcPort: GUEST_PORT, dstPort: request?.srcPort ?? 0 });
    assert.equal(program.isEnded, true);
  });

  it('ends when the guest does not answer within two seconds, and the guest is told', (t) => {
    const vsock = machine(t);
    const program = vsock.connect();
    program.send(`CONNECT ${GUEST_PORT}\n`);
    vsock.run();
    assert.deepEqual(ops(vsock.received()), [REQUEST]);
    vsock.wait(1999);
    assert.equal(program.receive(), undefined);
    vsock.wait(1);
    assert.equal(program.isEnded, true);
    assert.deepEqual(ops(vsock.received()), [RST]);
  });

  it('ends after two seconds, too, when the guest cannot even be asked, and the guest hears nothing', (t) => {
    const vsock = machine(t, { rxBuffers: 0 });
    for (let i = 0; i < 1500; i++) {
      const program = vsock.connect();
      program.send(`CONNECT ${GUEST_PORT}\n`);
      vsock.run();
      vsock.wait(1999);
      assert.equal(program.receive(), undefined);
      vsock.wait(1);
      assert.equal(program.isEnded, true);
      program.close();
    }
    vsock.offer([writable(4096)]);
    vsock.kick(0);
    vsock.run();
    assert.deepEqual(vsock.received(), []);
  });

  for (const line of ['CONNECT\n', 'CONNECT x\n', 'CONNECT 4294967296\n', 'GET / HTTP\n', 'C'.repeat(40)])
    it(`ends at once after ${JSON.stringify(line)}`, (t) => {
      const vsock = machine(t);
      const program = vsock.connect();
      program.send(line);
      vsock.run();
      assert.notEqual(program.receive(), undefined);
      assert.deepEqual(vsock.received(), []);
    });

  it('may say no more than it wants: one that only connects and ends leaves nothing', (t) => {
    const vsock = machine(t);
    const program = vsock.connect();
    vsock.run();
    program.close();
    vsock.run();
    assert.ok(vsock.block.regs.connectionState.every((it) => it === STATE.free));
  });

  it('delivers what a program has sent before it ended, and then its end', (t) => {
    const vsock = machine(t);
    const program = vsock.connect();
    program.send(`CONNECT ${GUEST_PORT}\nlast words`);
    program.close();
    vsock.run();
    const [request] = vsock.received();
    const ends = { srcPort: GUEST_PORT, dstPort: request?.srcPort ?? 0 };
    vsock.send({ op: RESPONSE, ...ends, ...PLENTY });
    const packets = vsock.received();
    assert.equal(dataOf(packets).toString(), 'last words');
    assert.equal(packets.at(-1)?.op, SHUTDOWN);
    assert.equal(packets.at(-1)?.flags, RCV | SEND);
  });
});

describe('several connections', () => {
  it('make room where there are 1024: programs that say nothing, the one first that came first', (t) => {
    const vsock = machine(t);
    const silent = Array.from({ length: 1024 }, () => {
      const program = vsock.connect();
      vsock.run();
      vsock.nowMs++;
      return program;
    });
    const early = vsock.connect();
    vsock.run();
    assert.equal(early.isEnded, true, 'nobody has been silent for long');
    vsock.wait(10_000 - 1024);
    for (const program of silent.slice(0, 2)) {
      assert.equal(program.receive(), undefined);
      const late = vsock.connect();
      late.send(`CONNECT ${GUEST_PORT}\n`);
      vsock.run();
      assert.deepEqual(ops(vsock.received()), [REQUEST]);
      assert.equal(program.isEnded, true);
      vsock.nowMs++;
    }
    assert.equal(silent[2]?.receive(), undefined);
  });

  it('make room where there are 1024: programs that do not read what the guest has left', (t) => {
    const { vsock, program, listener } = connected(t);
    while (vsock.core.connections.backlogs.lengthBytes(0) < 200_000) {
      vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(50_000) });
      vsock.received();
    }
    vsock.send({ op: RST, ...ENDS });
    const request = (srcPort: number): number[] => {
      vsock.send({ op: REQUEST, srcPort, dstPort: HOST_PORT, ...PLENTY });
      return ops(vsock.received());
    };
    for (let i = 1; i < 1024; i++) {
      assert.deepEqual(request(i), [RESPONSE]);
      listener.accept();
    }
    vsock.wait(10_000);
    assert.notEqual(program.receive(60_000)?.length, 0);
    assert.deepEqual(request(1024), [RST], 'it reads');
    vsock.wait(9999);
    assert.deepEqual(request(1024), [RST]);
    vsock.wait(1);
    vsock.send({ op: REQUEST, srcPort: 1024, dstPort: 77, ...PLENTY });
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(vsock.block.regs.connectionState[0], STATE.draining, 'for one who listens only');
    assert.deepEqual(request(1024), [RESPONSE]);
    assert.deepEqual(request(1025), [RST]);
  });

  it('have their turns: one with much data does not hold up the others', (t) => {
    const vsock = machine(t, { rxBytes: 65536 + 44, rxBuffers: 8 });
    const listener = vsock.listen(HOST_PORT);
    const programs = [1, 2, 3].map((srcPort) => {
      vsock.send({ op: REQUEST, srcPort, dstPort: HOST_PORT, ...PLENTY });
      return listener.accept();
    });
    vsock.received();
    vsock.isRefilling = false;
    vsock.core.pause();
    programs[0]?.send(pattern(1 << 20));
    programs[1]?.send('two');
    programs[2]?.send('three');
    vsock.run();
    vsock.core.resume();
    vsock.run();
    const packets = vsock.received();
    assert.ok(packets.some(({ dstPort }) => dstPort === 2));
    assert.ok(packets.some(({ dstPort }) => dstPort === 3));
  });
});

describe('pause and reset', () => {
  it('nothing is taken or given while it is paused, and all of it afterwards', (t) => {
    const { vsock, program, listener } = connected(t);
    vsock.core.pause();
    program.send('meanwhile');
    vsock.send({ op: RW, ...ENDS, ...PLENTY, data: Buffer.from('later') });
    vsock.put({ op: REQUEST, srcPort: 5, dstPort: HOST_PORT });
    vsock.run();
    assert.equal(program.receive(), undefined);
    assert.deepEqual(vsock.received(), []);
    vsock.core.resume();
    vsock.kick(0);
    vsock.kick(1);
    vsock.run();
    assert.equal(program.text(), 'later');
    assert.equal(dataOf(vsock.received()).toString(), 'meanwhile');
    listener.accept();
  });

  it('a reset ends all that the driver knew, and programs that only wait are kept', (t) => {
    const { vsock, program } = connected(t);
    const waiting = vsock.connect();
    vsock.run();
    vsock.core.pause();
    vsock.core.reset();
    vsock.core.resume();
    vsock.run();
    assert.equal(program.isEnded, true);
    waiting.send(`CONNECT ${GUEST_PORT}\n`);
    for (let i = 0; i < 4; i++) vsock.offer([writable(4096)]);
    vsock.kick(0);
    vsock.run();
    assert.deepEqual(ops(vsock.received()), [REQUEST]);
  });
});
