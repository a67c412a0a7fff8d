import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { afterEach, describe, it } from 'node:test';
import { PlannedFaults } from '../../../../test/support/ioFaults.ts';
import type { Packet, VsockMachine } from '../../../../test/support/vsockMachine.ts';
import {
  connected,
  dataOf,
  drain,
  ENDS,
  GUEST_PORT,
  HOST_PORT,
  machine,
  ops,
  pattern,
  PLENTY,
  RCV,
  REQUEST,
  RESPONSE,
  RST,
  RW,
  SEND,
  SHUTDOWN,
} from '../../../../test/support/vsockTest.ts';
import { type Fault, injectFaults, type IoCall } from '../../../kvm/io/faults.ts';
import { STATE } from './vsockState.ts';

const { EAGAIN, ECONNRESET, EMFILE, ENOBUFS } = constants.errno;

/** The next `count` calls of that kind by the device, and by nobody else, fail so. */
function failing(
  vsock: VsockMachine,
  call: IoCall,
  fault: Fault,
  count = 1,
  action = () => vsock.run(),
): void {
  let left = count;
  injectFaults(new PlannedFaults((request) => (request.call === call && left-- > 0 ? fault : undefined)));
  action();
  injectFaults(undefined);
}

describe('a host that fails', () => {
  afterEach(() => injectFaults(undefined));

  it('has no descriptors: programs wait, the user is told once, and later they are let in', (t) => {
    const vsock = machine(t);
    const program = vsock.connect();
    program.send(`CONNECT ${GUEST_PORT}\n`);
    failing(vsock, 'accept', { errno: EMFILE }, 100);
    assert.deepEqual(vsock.received(), []);
    failing(vsock, 'accept', { errno: EMFILE }, 100, () => vsock.wait(1000));
    assert.equal(vsock.told.length, 1);
    assert.match(vsock.told[0] ?? '', /EMFILE .* raise "ulimit -n"/);
    vsock.wait(1000);
    assert.deepEqual(ops(vsock.received()), [REQUEST]);
  });

  for (const call of ['socket', 'connect'] as const)
    it(`has no descriptors for the guest (${call}): it is refused, and works later`, (t) => {
      const vsock = machine(t);
      vsock.listen(HOST_PORT);
      const request = (): void => vsock.send({ op: REQUEST, ...ENDS, ...PLENTY });
      failing(vsock, call, { errno: EMFILE }, 1, request);
      assert.deepEqual(ops(vsock.received()), [RST]);
      assert.equal(vsock.told.length, 1);
      request();
      assert.deepEqual(ops(vsock.received()), [RESPONSE]);
    });

  for (const [name, fault] of Object.entries<Fault>({
    'takes a byte only': { shortBytes: 1 },
    'has no memory for it': { errno: ENOBUFS },
  }))
    it(`${name}: what the guest sends arrives all the same`, (t) => {
      const { vsock, program } = connected(t);
      const send = (data: Uint8Array): void => vsock.send({ op: RW, ...ENDS, ...PLENTY, data });
      failing(vsock, 'send', fault, 2, () => send(pattern(3000)));
      send(pattern(10));
      vsock.wait(20);
      assert.deepEqual(drain(program, vsock), Buffer.from([...pattern(3000), ...pattern(10)]));
    });

  it('gives a byte only, or has no memory: what a program sends arrives all the same', (t) => {
    const { vsock, program } = connected(t);
    program.send(pattern(3000));
    failing(vsock, 'receive', { shortBytes: 1 }, 3);
    program.send(pattern(10));
    failing(vsock, 'receive', { errno: ENOBUFS });
    vsock.wait(20);
    assert.deepEqual(dataOf(vsock.received()), Buffer.from([...pattern(3000), ...pattern(10)]));
  });

  it('resets a connection: the guest has what came before, and its end', (t) => {
    const { vsock, program } = connected(t);
    program.send('before');
    vsock.run();
    program.send('after');
    failing(vsock, 'receive', { errno: ECONNRESET });
    const packets: Packet[] = vsock.received();
    assert.equal(dataOf(packets).toString(), 'before');
    assert.deepEqual([packets.at(-1)?.op, packets.at(-1)?.flags], [SHUTDOWN, RCV | SEND]);
  });

  it('is slow: a socket that is full is gone on with when it is not', (t) => {
    const { vsock, program } = connected(t);
    failing(vsock, 'send', { errno: EAGAIN }, 1, () =>
      vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(100) }),
    );
    assert.equal(program.receive(), undefined);
    vsock.core.onReady(0, 4);
    assert.equal(drain(program, vsock).length, 100);
  });

  it('has no memory for what waits: the connection is reset, and others go on', (t) => {
    const { vsock, program } = connected(t);
    const { backlogs } = vsock.core.connections;
    const other = vsock.connect();
    other.send(`CONNECT ${GUEST_PORT}\n`);
    vsock.run();
    const [request] = vsock.received();
    t.mock.method(backlogs, 'append', () => false);
    vsock.send({ op: RESPONSE, srcPort: GUEST_PORT, dstPort: request?.srcPort ?? 0, ...PLENTY });
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(other.isEnded, true);
    const send = (): void => vsock.send({ op: RW, ...ENDS, ...PLENTY, data: pattern(100) });
    send();
    assert.equal(drain(program, vsock).length, 100);
    failing(vsock, 'send', { errno: EAGAIN }, 1, send);
    assert.deepEqual(ops(vsock.received()), [RST]);
    assert.equal(program.isEnded, true);
  });

  it('drops a program that fails while it says what it wants', (t) => {
    const vsock = machine(t);
    vsock.connect().send('CONNECT 5\n');
    failing(vsock, 'receive', { errno: ECONNRESET });
    assert.ok(vsock.block.regs.connectionState.every((it) => it === STATE.free));
  });
});
