/** Over taps and bridges that the tests make. Needs CAP_NET_ADMIN. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import type { FakeGuestPort } from '../../../../test/support/fakeGuestPort.ts';
import {
  ethernetFrame,
  joinSwitch,
  members,
  newFolder,
  settle,
  texts,
} from '../../../../test/support/switchMembers.ts';
import { UserError } from '../../../errors.ts';
import { AF_INET, SOCK_DGRAM } from '../../../abi/socket.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { KernelMessage } from '../../../kvm/net/messageIo.ts';
import { openSocket } from '../../../kvm/net/sockets.ts';
import { openTap, setInterfaceAddress } from '../../../kvm/net/tun.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';

/** Several runs at once shall not meet. */
const NETWORK = [100, 64 | (process.pid & 63), (process.pid >> 6) & 255];
const HOST = [...NETWORK, 2];
const BROADCAST = Uint8Array.of(255, 255, 255, 255, 255, 255);

function unavailable(): string | undefined {
  const tap = openTap({ queues: 1 });
  if (typeof tap === 'number') return `no tap can be made here: errno ${-tap}`;
  tap.fds.forEach(closeFd);
  return undefined;
}

function ip(...args: readonly string[]): void {
  assert.equal(spawnSync('ip', args, { stdio: 'ignore' }).status, 0, `ip ${args.join(' ')}`);
}

/** Who has the host's address? */
function arp(from: FakeGuestPort): Uint8Array {
  const n = from.mac[5] ?? 0;
  const body = [0, 1, 8, 0, 6, 4, 0, 1, ...from.mac, ...NETWORK, 10 + n, 0, 0, 0, 0, 0, 0, ...HOST];
  return Uint8Array.from([...BROADCAST, ...from.mac, 8, 6, ...body]);
}

function answers(port: FakeGuestPort): number {
  return port.frames.filter(({ bytes }) => bytes[12] === 8 && bytes[13] === 6 && bytes[21] === 2).length;
}

function datagrams(port: FakeGuestPort): number {
  return port.frames.filter(({ bytes }) => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 17).length;
}

/** Of the host, to the port 9 of a member. */
function hostSends(t: TestContext, to: FakeGuestPort, count = 1): void {
  const fd = openSocket(AF_INET, SOCK_DGRAM);
  t.after(() => closeFd(fd));
  const message = new KernelMessage([]);
  message.addBuffer(new IoBuffer(1000), 0, 1000);
  const address = Uint8Array.from([...NETWORK, 10 + (to.mac[5] ?? 0)]);
  for (let i = 0; i < count; i++)
    assert.equal(message.sendTo(fd, { family: 'ipv4', address, port: 9 }), 1000);
}

let count = 0;

describe('the uplink of a switch', { skip: unavailable() }, () => {
  /** Members of a switch with an uplink that has the host's address. */
  function three(t: TestContext): { uplink: string; name: string; ports: FakeGuestPort[] } {
    const uplink = `trapu${process.pid % 1e5}${count++}`;
    const name = newFolder();
    const ports = [1, 2, 3].map((n) => joinSwitch(t, name, n, { uplink }));
    setInterfaceAddress(uplink, Uint8Array.from(HOST), Uint8Array.of(255, 255, 255, 0));
    settle(ports, () =>
      ports.every((it) => members(it).filter(({ vm }) => vm.startsWith('vm')).length === 2),
    );
    return { uplink, name, ports };
  }

  it('is held by one member, through which the others reach the host, and the host them', (t) => {
    const { uplink, ports } = three(t);
    const [a, b, c] = ports as [FakeGuestPort, FakeGuestPort, FakeGuestPort];
    assert.deepEqual(
      ports.map((it) => it.report()['uplink']),
      [uplink, undefined, undefined],
    );
    for (const it of ports) {
      it.send(arp(it));
      settle(ports, () => answers(it) === 1);
    }
    for (const it of ports) it.frames.length = 0;
    for (const it of ports) {
      hostSends(t, it);
      settle(ports, () => datagrams(it) === 1);
    }
    assert.deepEqual(ports.map(datagrams), [1, 1, 1]);
    b.send(ethernetFrame(c.mac, b.mac, 'between us'));
    settle(ports, () => texts(c).includes('between us'));
    assert.ok(!texts(a).includes('between us'));
  });

  it('passes to another member when the one that holds it goes, and traffic goes on', (t) => {
    const { uplink, ports } = three(t);
    const [a, ...others] = ports as [FakeGuestPort, FakeGuestPort, FakeGuestPort];
    a.close();
    settle(others, () => others.some((it) => it.report()['uplink'] === uplink));
    assert.equal(others.filter((it) => it.report()['uplink'] === uplink).length, 1);
    setInterfaceAddress(uplink, Uint8Array.from(HOST), Uint8Array.of(255, 255, 255, 0)); // a new interface
    for (const it of others) {
      it.send(arp(it));
      settle(others, () => answers(it) === 1);
    }
  });

  it('serves others while the guest of the member that holds it takes nothing', (t) => {
    const { ports } = three(t);
    const [a, b] = ports as [FakeGuestPort, FakeGuestPort, FakeGuestPort];
    for (const it of ports) {
      it.send(arp(it));
      settle(ports, () => answers(it) === 1);
    }
    a.room = 0;
    for (let i = 0; i < 5; i++) b.send(ethernetFrame(BROADCAST, b.mac, `for all ${i}`));
    hostSends(t, a, 3);
    hostSends(t, b, 3);
    settle(ports, () => datagrams(b) === 3);
    b.send(arp(b));
    settle(ports, () => answers(b) === 2);
    assert.equal(datagrams(a), 0);
    a.room = Infinity;
    a.tellRoom();
    settle(ports, () => datagrams(a) === 3);
    assert.deepEqual(
      texts(a).filter((it) => it.startsWith('for all')),
      [0, 1, 2, 3, 4].map((i) => `for all ${i}`),
    );
  });

  it('is a port of a bridge that the host has', (t) => {
    const bridge = `trapb${process.pid % 1e5}`;
    if (spawnSync('ip', ['link', 'add', bridge, 'type', 'bridge']).status !== 0)
      return t.skip('no bridges here');
    t.after(() => ip('link', 'delete', bridge));
    const name = newFolder();
    const port = joinSwitch(t, name, 1, { uplink: bridge });
    const tap = port.report()['uplink'] as string; // switchLink.ts writes it so
    assert.match(tap, /^tap\d+$/);
    assert.ok(existsSync(`/sys/class/net/${bridge}/brif/${tap}`));
    ip('link', 'set', bridge, 'up');
    setInterfaceAddress(bridge, Uint8Array.from(HOST), Uint8Array.of(255, 255, 255, 0));
    port.send(arp(port));
    settle([port], () => answers(port) === 1);
  });

  it("that is OpenBSD's bridge, which this host has not, is none, which is told", (t) => {
    const port = joinSwitch(t, newFolder(), 1, { uplink: 'veb4093' });
    assert.equal(port.report()['uplink'], undefined);
    assert.match(
      port.troubles[0] ?? '',
      /^this host has no veb4093: the switch at .* joins VMs, and nothing else/,
    );
  });

  it('that cannot be is refused, and nothing of it is left', (t) => {
    assert.throws(
      () => joinSwitch(t, newFolder(), 1, { uplink: 'lo' }),
      (error) => error instanceof UserError && /^"lo" is no tap interface/.test(error.message),
    );
  });

  it('that somebody deletes is told, and the members still reach each other', (t) => {
    const { uplink, ports } = three(t);
    const [a, b] = ports as [FakeGuestPort, FakeGuestPort, FakeGuestPort];
    ip('link', 'delete', uplink);
    a.send(ethernetFrame(BROADCAST, a.mac, 'hello'));
    settle(ports, () => texts(b).includes('hello'));
    settle(ports, () => a.troubles.length === 1);
    assert.match(
      a.troubles[0] ?? '',
      /^the interface trapu\d+ was deleted: the switch has no uplink any more/,
    );
  });
});
