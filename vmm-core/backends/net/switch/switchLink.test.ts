import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, openSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from '../../../abi/virtioNetHdr.ts';
import type { FakeGuestPort } from '../../../../test/support/fakeGuestPort.ts';
import { nthFaults, PlannedFaults } from '../../../../test/support/ioFaults.ts';
import { NO_OFFLOADS } from '../../../../test/support/netFrames.ts';
import {
  ethernetFrame,
  joinSwitch,
  member,
  members,
  newFolder,
  settle,
  switchRoot,
  texts,
} from '../../../../test/support/switchMembers.ts';
import { AF_UNIX, SOCK_SEQPACKET } from '../../../abi/socket.ts';
import { frameRingBytes } from '../../../bus/frameRing.ts';
import { UserError } from '../../../errors.ts';
import { EAGAIN, EMFILE } from '../../../kvm/errno.ts';
import { injectFaults, type IoRequest } from '../../../kvm/io/faults.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { createMemfd, receiveFds, sendFds } from '../../../kvm/net/fdPassing.ts';
import { bindSocket, connectSocket, listenOn, openSocket } from '../../../kvm/net/sockets.ts';
import { noOffload } from '../offloadHeader.ts';
import { SWITCH_VERSION } from './greeting.ts';

const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

describe('a switch', () => {
  it('takes a broadcast to all, then knows who is where and tells the others nothing', (t) => {
    const name = newFolder();
    const ports = [1, 2, 3].map((n) => joinSwitch(t, name, n));
    const [a, b, c] = ports as [FakeGuestPort, FakeGuestPort, FakeGuestPort];
    settle(ports, () =>
      ports.every((it) => members(it).filter(({ vm }) => vm.startsWith('vm')).length === 2),
    );
    a.send(ethernetFrame(BROADCAST, a.mac, 'who is there?'));
    settle(ports, () => b.frames.length === 1 && c.frames.length === 1);
    b.send(ethernetFrame(a.mac, b.mac, 'I am'));
    settle(ports, () => a.frames.length === 1);
    assert.deepEqual([texts(a), texts(b), texts(c)], [['I am'], ['who is there?'], ['who is there?']]);
    assert.deepEqual(
      members(a).flatMap(({ addresses }) => addresses),
      ['fe:e1:bb:d0:00:02'],
    );
  });

  it('counts the bytes of frames alike at both ends', (t) => {
    const name = newFolder();
    const [a, b] = [joinSwitch(t, name, 1), joinSwitch(t, name, 2)] as const;
    settle([a, b], () => members(a)[0]?.vm === 'vm2' && members(b)[0]?.vm === 'vm1');
    for (const text of ['', 'x'.repeat(100)]) a.send(ethernetFrame(b.mac, a.mac, text));
    settle([a, b], () => b.frames.length === 2);
    const [sent] = a.report()['members'] as { framesOut: number; bytesOut: number }[];
    const [got] = b.report()['members'] as { framesIn: number; bytesIn: number }[];
    assert.deepEqual([sent?.framesOut, sent?.bytesOut], [2, 128]);
    assert.deepEqual([got?.framesIn, got?.bytesIn], [2, 128]);
  });

  it('keeps the order of frames of all lengths, and waits for a guest that has no room', (t) => {
    const name = newFolder();
    const ports = [joinSwitch(t, name, 1, { mtu: 65535 }), joinSwitch(t, name, 2, { mtu: 65535 })] as const;
    const [a, b] = ports;
    settle(ports, () => members(a)[0]?.vm === 'vm2' && members(b)[0]?.vm === 'vm1');
    b.room = 3;
    const sent = Array.from({ length: 50 }, (_, i) => `${i} `.padEnd(1 + i * 1000, '.'));
    for (const text of sent) a.send(ethernetFrame(b.mac, a.mac, text));
    settle(ports, () => b.frames.length === 3);
    b.turn(1);
    assert.equal(b.frames.length, 3);
    b.room = Infinity;
    b.tellRoom();
    settle(ports, () => b.frames.length === sent.length);
    assert.deepEqual(texts(b), sent);
  });

  it('loses what comes while the cable is out, and what waited then', (t) => {
    const name = newFolder();
    const ports = [joinSwitch(t, name, 1), joinSwitch(t, name, 2)] as const;
    const [a, b] = ports;
    settle(ports, () => members(a)[0]?.vm === 'vm2' && members(b)[0]?.vm === 'vm1');
    const send = (text: string): void => a.send(ethernetFrame(b.mac, a.mac, text));
    b.room = 0;
    send('waits');
    b.turn(1);
    b.setCut(true);
    send('comes');
    settle(ports, () => b.drops.length === 2);
    b.room = Infinity;
    b.setCut(false);
    send('is there');
    settle(ports, () => b.frames.length > 0);
    assert.deepEqual(texts(b), ['is there']);
    assert.deepEqual(b.drops, ['linkDown', 'linkDown']);
  });

  it('goes on without a member that has gone, and with one that comes again', (t) => {
    const name = newFolder();
    const a = joinSwitch(t, name, 1);
    const gone = joinSwitch(t, name, 2);
    settle([a, gone], () => members(a)[0]?.vm === 'vm2');
    gone.close();
    settle([a], () => members(a).length === 0);
    const back = joinSwitch(t, name, 3);
    settle([a, back], () => members(a)[0]?.vm === 'vm3' && members(back)[0]?.vm === 'vm1');
    a.send(ethernetFrame(BROADCAST, a.mac, 'hello'));
    settle([back], () => back.frames.length === 1);
  });

  it('brings what a member has sent before it went', (t) => {
    const name = newFolder();
    const a = joinSwitch(t, name, 1);
    const { port: b, leave } = member(name, 2);
    settle([a, b], () => members(a)[0]?.vm === 'vm2' && members(b)[0]?.vm === 'vm1');
    for (const text of ['good', 'bye']) b.send(ethernetFrame(a.mac, b.mac, text));
    leave();
    settle([a], () => members(a).length === 0);
    assert.deepEqual(texts(a), ['good', 'bye']);
  });

  it('tells both of two members with the same Ethernet address, once', (t) => {
    const name = newFolder();
    const mac = Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd0, 0, 1);
    const [a, b, c] = [1, 2, 3].map((n) => joinSwitch(t, name, n, n === 3 ? {} : { mac })) as [
      ...[FakeGuestPort, FakeGuestPort, FakeGuestPort],
    ];
    settle([a, b, c], () => [a, b, c].every((it) => members(it).every(({ vm }) => vm.startsWith('vm'))));
    settle([a, b, c], () => [a, b, c].every((it) => members(it).length === 2));
    const again = member(name, 4, { mac });
    settle([a, b, c, again.port], () => again.port.troubles.length > 0 && members(a).length === 3);
    again.leave();
    const [ofA, ofB] = [a.troubles, b.troubles];
    assert.deepEqual([ofA.length, ofB.length, c.troubles.length], [1, 1, 0]);
    assert.match(
      ofA[0] ?? '',
      /^the VM "vm[24]" on this switch has the Ethernet address of net0, fe:e1:bb:d0:00:01: .*lladdr/,
    );
    assert.match(ofB[0] ?? '', /^the VM "vm[14]"/);
    a.send(ethernetFrame(BROADCAST, a.mac, 'we live on'));
    settle([a, b, c], () => texts(c).includes('we live on'));
  });

  it('hands segments over whole, and cuts them up for a guest that does not take them', (t) => {
    const name = newFolder();
    const [a, b, c] = [
      joinSwitch(t, name, 1),
      joinSwitch(t, name, 2),
      joinSwitch(t, name, 3, { offloads: NO_OFFLOADS }),
    ] as const;
    settle([a, b, c], () =>
      [a, b, c].every((it) => members(it).length === 2 && members(it).every(({ vm }) => vm.startsWith('vm'))),
    );
    const data = Buffer.alloc(5000, 'x');
    const tcp = Buffer.concat([ipv4Tcp(a.mac, data.length), data]);
    a.send(tcp, {
      ...noOffload(),
      flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
      gsoType: VIRTIO_NET_HDR_GSO_TCPV4,
      gsoSize: 1460,
      hdrLen: 54,
      csumStart: 34,
      csumOffset: 16,
    });
    settle([b, c], () => b.frames.length === 1 && c.frames.length === 4);
    assert.deepEqual(Buffer.from(b.frames[0]?.bytes ?? []), tcp);
    assert.deepEqual(
      c.frames.map(({ bytes }) => bytes.length - 54),
      [1460, 1460, 1460, 620],
    );
    assert.deepEqual(
      c.frames.map(({ bytes }) => new DataView(bytes.buffer).getUint32(38)),
      [7, 1467, 2927, 4387],
    );
    for (const { bytes } of c.frames) {
      assert.equal(onesComplement(bytes.subarray(14, 34)), 0xffff);
      const pseudo = [...bytes.subarray(26, 34), 0, 6, (bytes.length - 34) >> 8, (bytes.length - 34) & 0xff];
      assert.equal(onesComplement(Uint8Array.from([...pseudo, ...bytes.subarray(34)])), 0xffff);
    }
  });

  it('refuses a folder that everybody may write, and one that is not there, and a name with a slash', (t) => {
    const refused = (name: string, message: RegExp) =>
      assert.throws(
        () => joinSwitch(t, name, 1),
        (error) => error instanceof UserError && message.test(error.message),
      );
    refused(newFolder(0o777), /chmod o-w/);
    refused(path.join(switchRoot(), 'not there'), /is not a folder: make it/);
    refused('a/b', /a name has letters/);
    refused(path.join(newFolder(), 'x'.repeat(100)), /is not a folder/);
  });

  it('that users share lets in whoever is in the group of its folder, and nobody else', (t) => {
    if (process.geteuid?.() !== 0) return t.skip('needs root, to be others');
    const [group, other] = [54_321, 54_322];
    const name = newFolder(0o770);
    chmodSync(switchRoot(), 0o711);
    chownSync(name, 0, group);
    const a = joinSwitch(t, name, 1);
    for (const it of readdirSync(name)) {
      const { gid, mode } = statSync(path.join(name, it));
      assert.deepEqual([gid, mode & 0o777], [group, 0o660]);
    }
    assert.throws(
      () => as(other, other, () => joinSwitch(t, name, 2)),
      (error) => error instanceof UserError && /EACCES.*is the switch another user's\?$/.test(error.message),
    );
    assert.deepEqual(readdirSync(name).length, 1, 'nothing is left of that');
    const b = as(other, group, () => joinSwitch(t, name, 3));
    settle([a, b], () => members(a)[0]?.vm === 'vm3' && members(b)[0]?.vm === 'vm1');
    b.send(ethernetFrame(BROADCAST, b.mac, 'hello'));
    settle([a, b], () => texts(a).includes('hello'));
  });

  it('that one member floods has as much for the others as before', (t) => {
    const name = newFolder();
    const ports = [1, 2, 3].map((n) => joinSwitch(t, name, n));
    const [victim, flooder, other] = ports as [FakeGuestPort, FakeGuestPort, FakeGuestPort];
    settle(ports, () => ports.every((it) => members(it).every(({ vm }) => vm.startsWith('vm'))));
    settle(ports, () => ports.every((it) => members(it).length === 2));
    const flood = ethernetFrame(BROADCAST, flooder.mac, 'x'.repeat(60));
    while (flooder.drops.length === 0) flooder.send(flood);
    for (let i = 0; i < 10; i++) other.send(ethernetFrame(victim.mac, other.mac, `${i}`));
    victim.turn();
    assert.equal(texts(victim).filter((it) => it.length === 1).length, 10);
    assert.ok(victim.frames.length < 128, 'a go is bounded');
    // With buffers for a few frames only, too.
    for (let i = 0; i < 10; i++) other.send(ethernetFrame(victim.mac, other.mac, `${i}`));
    for (let i = 0; i < 20; i++) {
      while (flooder.drops.length < 2 + i) flooder.send(flood);
      victim.room = 1;
      victim.tellRoom();
    }
    assert.equal(texts(victim).filter((it) => it.length === 1).length, 20);
  });

  it('removes the socket that a killed member left, and nothing else', async (t) => {
    const name = newFolder();
    const [dead = '', file = ''] = ['vm9-0-1.port', 'vm8-0-1.port'].map((it) => path.join(name, it));
    const listen = `require('net').createServer().listen(${JSON.stringify(dead)}, () => console.log(1))`;
    const killed = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(killed.stdout, 'data');
    killed.kill('SIGKILL');
    await once(killed, 'close');
    writeFileSync(file, '');
    joinSwitch(t, name, 1);
    assert.deepEqual(
      [dead, file].map((it) => existsSync(it)),
      [false, true],
    );
  });

  it('leaves the socket of a member that is slow to accept', (t) => {
    const name = newFolder();
    const slow = { family: 'unix', path: path.join(name, 'vm9-0-1.port') } as const;
    const fds = Array.from({ length: 4 }, () => openSocket(AF_UNIX, SOCK_SEQPACKET));
    t.after(() => fds.forEach(closeFd));
    const [listener = -1, ...waiting] = fds;
    assert.deepEqual([bindSocket(listener, slow), listenOn(listener, 0)], [0, 0]);
    assert.ok(waiting.map((fd) => connectSocket(fd, slow)).includes(-EAGAIN));
    joinSwitch(t, name, 1);
    assert.ok(existsSync(slow.path));
  });

  it('meets a member later where there was no descriptor for it', (t) => {
    t.after(() => injectFaults(undefined));
    const name = newFolder();
    const a = joinSwitch(t, name, 1);
    injectFaults(nthFaults({ accept: { 1: { errno: EMFILE } } }));
    const b = joinSwitch(t, name, 2);
    settle([a, b], () => members(a)[0]?.vm === 'vm2' && members(b)[0]?.vm === 'vm1');
  });

  it('shows a member to others when they can reach it, not before', (t) => {
    t.after(() => injectFaults(undefined));
    const name = newFolder();
    const others: FakeGuestPort[] = [];
    const plan = ({ call }: IoRequest): undefined => {
      if (call !== 'listen') return;
      injectFaults(undefined);
      others.push(joinSwitch(t, name, 2)); // as another process does meanwhile
    };
    injectFaults(new PlannedFaults(plan));
    const late = joinSwitch(t, name, 1);
    settle([late, ...others], () => members(late)[0]?.vm === 'vm2');
    const last = joinSwitch(t, name, 3);
    settle([late, last, ...others], () => members(last).length === 2 && members(late).length === 2);
    assert.equal(readdirSync(name).length, 3);
  });

  it('parts from a member that says what no member says, and keeps the others', (t) => {
    const name = newFolder();
    const [a, b] = [joinSwitch(t, name, 1), joinSwitch(t, name, 2)] as const;
    settle([a, b], () => members(a)[0]?.vm === 'vm2' && members(b)[0]?.vm === 'vm1');
    const socket = readdirSync(name).find((it) => it.startsWith('vm1-')) ?? '';
    const good = { version: SWITCH_VERSION, id: 'x.port', vm: 'x', lladdr: 'fe:e1:bb:d0:00:0a', mtu: 1500 };
    const memory = createMemfd('x', 4096);
    const ring = createMemfd('x', frameRingBytes(4 * 2 ** 20));
    const readOnly = openSync(`/proc/self/fd/${ring}`, 'r');
    t.after(() => [memory, ring, readOnly].forEach(closeFd));
    const greetings: readonly (readonly [unknown, readonly number[]])[] = [
      ['no JSON {', []],
      [JSON.stringify({ ...good, version: 99 }), []],
      [JSON.stringify({ ...good, mtu: 1e9 }), []],
      [JSON.stringify({ ...good, lladdr: 'fe:e1:bb:d0:00' }), []],
      [JSON.stringify({ ...good, vm: '\u009b2J' }), [ring]],
      [JSON.stringify(good), []],
      [JSON.stringify(good), [memory, memory]],
      [JSON.stringify(good), [readOnly]],
    ];
    for (const [greeting, fds] of greetings) {
      const fd = openSocket(AF_UNIX, SOCK_SEQPACKET);
      assert.equal(connectSocket(fd, { family: 'unix', path: path.join(name, socket) }), 0);
      sendFds(fd, Buffer.from(String(greeting)), fds);
      let isParted = false;
      settle([a], () => {
        const passed = receiveFds(fd);
        if (typeof passed !== 'number') {
          for (const it of passed.fds) closeFd(it);
          isParted = passed.bytes.length === 0;
        }
        return isParted;
      });
      closeFd(fd);
    }
    assert.deepEqual(
      members(a).map(({ vm }) => vm),
      ['vm2'],
    );
  });
});

function ipv4Tcp(source: Uint8Array, dataBytes: number): Buffer {
  const header = Buffer.alloc(54);
  Buffer.from(BROADCAST).copy(header, 0);
  Buffer.from(source).copy(header, 6);
  header.writeUInt16BE(0x0800, 12);
  header.writeUInt8(0x45, 14);
  header.writeUInt16BE(40 + dataBytes, 16);
  header.writeUInt8(64, 22);
  header.writeUInt8(6, 23);
  header.set([10, 0, 0, 1, 10, 0, 0, 2], 26);
  header.writeUInt32BE(7, 38);
  header.writeUInt8(5 << 4, 46);
  header.writeUInt8(0x18, 47);
  return header;
}

function onesComplement(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/** As another user, of one group. */
function as<T>(uid: number, gid: number, body: () => T): T {
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([gid]);
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return body();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}
