import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { plannableConfig } from '../../../../test/support/devices.ts';
import { NO_OFFLOAD } from '../../../../test/support/loopLink.ts';
import { readable, writable } from '../../../../test/support/mockDriver.ts';
import { HEADER_BYTES, LOOP, NetMachine } from '../../../../test/support/netMachine.ts';
import * as abi from '../../../abi/virtioNet.ts';
import type { LinkReport } from '../../../backends/net/netLink.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import {
  VIRTIO_MMIO_CONFIG,
  VIRTIO_MMIO_DEVICE_FEATURES,
  VIRTIO_MMIO_DEVICE_FEATURES_SEL,
} from '../../../abi/virtioMmio.ts';
import { VIRTIO_CONFIG_S_FEATURES_OK } from '../../../abi/virtioConfig.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from '../../../abi/virtioNetHdr.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { ownLladdr } from './netConfig.ts';
import { netClass } from './netDevice.ts';

const { fields } = abi.VirtioNetConfig;
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const OTHER = [0x52, 0x54, 0, 1, 2, 3];

/** With a pattern behind its Ethernet header. */
function frame(lengthBytes: number, to = BROADCAST, from = OTHER): Uint8Array {
  const bytes = Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  bytes.set([...to, ...from, 0x88, 0xb5].slice(0, lengthBytes));
  return bytes;
}

function header(values: Partial<Record<string, number>>): Uint8Array {
  const { flags = 0, gsoType = 0, hdrLen = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 } = values;
  return new Bytes().u8(flags, gsoType).u16(hdrLen, gsoSize, csumStart, csumOffset, 0).done();
}

function counters({ state: { regs } }: NetMachine): Record<string, number> {
  const { framesSent, bytesSent, framesReceived, bytesReceived } = regs;
  const { sentMalformed, sentFiltered, sentLinkDown, receivedNoRoom, receivedFiltered } = regs;
  return {
    framesSent: Number(framesSent),
    bytesSent: Number(bytesSent),
    framesReceived: Number(framesReceived),
    bytesReceived: Number(bytesReceived),
    ...{ sentMalformed, sentFiltered, sentLinkDown, receivedNoRoom, receivedFiltered },
  };
}

function features(network: NetworkConfig, cpus = 1): (bit: number) => boolean {
  const { mmio } = new NetMachine({ network: { ...network, transport: 'mmio' }, cpus, isIdle: true });
  const words = [0, 1].map((word) => {
    mmio.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
    return mmio.read(VIRTIO_MMIO_DEVICE_FEATURES);
  });
  return (bit) => ((words[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
}

function config(machine: NetMachine, field: keyof typeof fields): number {
  return machine.mmio.read(VIRTIO_MMIO_CONFIG + fields[field].offset, 2);
}

function mac(machine: NetMachine): number[] {
  return [0, 1, 2, 3, 4, 5].map((i) => machine.mmio.read(VIRTIO_MMIO_CONFIG + i, 1));
}

describe('what an interface offers (§5.1.3)', () => {
  it('are offloads where its link has them', () => {
    const has = features({ kind: 'user' });
    const offloads = [abi.VIRTIO_NET_F_CSUM, abi.VIRTIO_NET_F_HOST_TSO4, abi.VIRTIO_NET_F_GUEST_TSO6];
    assert.ok(offloads.every(has));
    const hasNone = features({ kind: 'stream' });
    assert.ok(!offloads.some(hasNone));
    assert.ok(hasNone(abi.VIRTIO_NET_F_MAC) && hasNone(abi.VIRTIO_NET_F_MRG_RXBUF));
  });

  it('is MQ with several pairs only, and MTU when somebody has set it', () => {
    const [MQ, MTU] = [abi.VIRTIO_NET_F_MQ, abi.VIRTIO_NET_F_MTU];
    assert.deepEqual([MQ, MTU].map(features({ kind: 'tap' })), [false, false]);
    assert.deepEqual([MQ, MTU].map(features({ kind: 'tap', mtu: 9000 }, 2)), [true, true]);
    assert.deepEqual([MQ, MTU].map(features({ kind: 'user' }, 2)), [true, false]);
    assert.deepEqual([MQ, MTU].map(features({ kind: 'user', queues: 1 }, 2)), [false, false]);
  });

  it('is no way to change the address of one that is locked', () => {
    assert.equal(features({ kind: 'user' })(abi.VIRTIO_NET_F_CTRL_MAC_ADDR), true);
    assert.equal(features({ kind: 'user', isLocked: true })(abi.VIRTIO_NET_F_CTRL_MAC_ADDR), false);
  });

  it('is refused together with what it needs missing (§5.1.3.1)', () => {
    const [CSUM, GUEST_CSUM] = [abi.VIRTIO_NET_F_CSUM, abi.VIRTIO_NET_F_GUEST_CSUM];
    const tso = [abi.VIRTIO_NET_F_HOST_TSO4, abi.VIRTIO_NET_F_HOST_TSO6];
    const isAccepted = (without: readonly number[]): boolean => {
      const { mmio } = new NetMachine({ isIdle: true });
      mmio.negotiate(without);
      return (mmio.status & VIRTIO_CONFIG_S_FEATURES_OK) !== 0;
    };
    assert.deepEqual(
      [[], [CSUM], [GUEST_CSUM], tso, [...tso, abi.VIRTIO_NET_F_HOST_ECN], [abi.VIRTIO_NET_F_CTRL_VQ]].map(
        isAccepted,
      ),
      [true, false, false, false, true, false],
    );
  });
});

describe('the configuration space (§5.1.4)', () => {
  it('has the address, the link, pairs and MTU', () => {
    const network: NetworkConfig = { ...LOOP, kind: 'tap', lladdr: 'fe:e1:bb:d1:12:34', mtu: 9000 };
    const machine = new NetMachine({ network, cpus: 3 });
    assert.deepEqual(mac(machine), [0xfe, 0xe1, 0xbb, 0xd1, 0x12, 0x34]);
    assert.deepEqual(
      (['status', 'max_virtqueue_pairs', 'mtu'] as const).map((it) => config(machine, it)),
      [abi.VIRTIO_NET_S_LINK_UP, 3, 9000],
    );
  });

  it('has an address of the VM and the interface where none was given', () => {
    assert.equal(ownLladdr('alpine', 0), ownLladdr('alpine', 0));
    assert.match(ownLladdr('alpine', 2), /^fe:e1:bb:d2:[0-9a-f]{2}:[0-9a-f]{2}$/);
    assert.notEqual(ownLladdr('alpine', 0), ownLladdr('debian', 0));
    assert.equal(new NetMachine().network.lladdr, ownLladdr('test', 0));
  });

  it('has no made address that another interface of the VM was given', () => {
    const given: NetworkConfig = { ...LOOP, lladdr: ownLladdr('alpine', 0) };
    const config = plannableConfig({ name: 'alpine', networks: [LOOP, given] });
    const [first, second] = netClass.instances(config).map(({ lladdr }) => lladdr);
    assert.equal(second, given.lladdr);
    assert.match(first ?? '', /^fe:e1:bb:d0:/);
    assert.notEqual(first, second);
  });

  it('is read-only without the legacy interface', () => {
    const machine = new NetMachine();
    const before = mac(machine);
    machine.mmio.write(VIRTIO_MMIO_CONFIG, 0x52, 1);
    assert.deepEqual(mac(machine), before);
  });
});

describe('a frame of the guest (§5.1.6.2)', () => {
  it('is sent without its header, and its chain returned', () => {
    const machine = new NetMachine();
    const bytes = frame(1514);
    machine.send(bytes);
    assert.deepEqual(machine.link.sent, [{ bytes, head: bytes.slice(0, 256), offload: NO_OFFLOAD, pair: 0 }]);
    assert.deepEqual(
      machine
        .driver(1)
        .used()
        .map((it) => it.writtenBytes),
      [0],
    );
    assert.deepEqual(machine.link.calls.slice(-1), ['onSent']);
    const { framesSent, bytesSent } = counters(machine);
    assert.deepEqual([framesSent, bytesSent], [1, 1514]);
  });

  it('may be cut into descriptors anywhere, its header too', () => {
    const bytes = frame(700);
    const all = Uint8Array.of(...new Uint8Array(HEADER_BYTES), ...bytes);
    for (const cuts of [[12], [5], [1, 2, 3, 11, 13, 26, 300], [12, 13, 14, 268], [712 - 1], []]) {
      const machine = new NetMachine();
      const ends = [...cuts, all.length];
      machine.sendChain(ends.map((end, i) => readable(all.subarray(ends[i - 1] ?? 0, end))));
      const sent = machine.link.sent.map((it) => [it.bytes, it.head]);
      assert.deepEqual(sent, [[bytes, bytes.slice(0, 256)]], `cut at ${cuts.join(' ')}`);
    }
  });

  it('that is none is dropped, counted, and its chain returned', () => {
    const machine = new NetMachine({ queueSize: 64 });
    for (const lengthBytes of [1, 11, 12, 12 + 13, 12 + 65551]) machine.sendChain([readable(lengthBytes)]);
    assert.equal(machine.link.sent.length, 0);
    assert.equal(machine.driver(1).used().length, 5);
    assert.equal(counters(machine)['sentMalformed'], 5);
    machine.sendChain([readable(12 + 65550)]);
    machine.sendChain([readable(12 + 14)]);
    assert.deepEqual(
      machine.link.sent.map((it) => it.bytes.length),
      [65550, 14],
    );
  });

  it('has offloads as negotiated, inside the frame', () => {
    const machine = new NetMachine();
    const flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    const tso = { flags, gsoType: VIRTIO_NET_HDR_GSO_TCPV4, hdrLen: 54, gsoSize: 1460, csumStart: 34 };
    machine.send(frame(4000), header({ ...tso, csumOffset: 16 }));
    assert.deepEqual(machine.link.sent.at(0)?.offload, { ...tso, csumOffset: 16 });
    const wrong = [
      header({ ...tso, csumOffset: 4000 }),
      header({ ...tso, csumOffset: 16, gsoSize: 0 }),
      header({ ...tso, csumOffset: 16, flags: 0 }),
      header({ ...tso, csumOffset: 16, gsoType: 2 }),
      header({ ...tso, csumOffset: 16, gsoType: 5 }), // UDP_L4, which this kind does not offer
    ];
    for (const it of wrong) machine.send(frame(4000), it);
    assert.equal(machine.link.sent.length, 1);
    assert.equal(counters(machine)['sentMalformed'], wrong.length);
  });

  it('whose driver negotiated no offloads has none (§5.1.6.2.1)', () => {
    const without = Array.from({ length: 15 }, (_, bit) => bit).filter((bit) => bit !== abi.VIRTIO_NET_F_MAC);
    const machine = new NetMachine({ without });
    machine.send(frame(100), header({ flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, csumStart: 34, csumOffset: 16 }));
    assert.deepEqual(machine.link.sent.at(0)?.offload, NO_OFFLOAD);
    machine.send(frame(100), header({ gsoType: VIRTIO_NET_HDR_GSO_TCPV4 }));
    assert.equal(machine.link.sent.length, 1);
  });

  it('is one of many: a go has a bound, and the rest follows', () => {
    const machine = new NetMachine({ queueSize: 256 });
    const driver = machine.driver(1);
    const at = driver.allocate(1000);
    for (let i = 0; i < 256; i++) driver.addChain([readable(100, at)]);
    machine.service.onKick(1);
    assert.equal(machine.link.sent.length, 256);
    assert.equal(driver.used().length, 256);
    machine.run();
    assert.equal(machine.link.calls.filter((it) => it === 'onSent').length, 1);
    const large = new NetMachine({ queueSize: 256 });
    const place = large.driver(1).allocate(65562);
    for (let i = 0; i < 200; i++) large.driver(1).addChain([readable(65562, place)]);
    large.service.onKick(1);
    assert.equal(large.link.sent.length, 64);
    large.run();
    assert.equal(large.link.sent.length, 200);
  });
});

describe('a frame for the guest (§5.1.6.3)', () => {
  it('is behind a header with one buffer, and the driver is interrupted', () => {
    const machine = new NetMachine();
    const bytes = frame(1000);
    machine.offer([1526, 1526]);
    const before = machine.irq.edges;
    machine.link.deliver(bytes, { ...NO_OFFLOAD, flags: 2 });
    machine.service.onTimer?.(); // the end of a go
    const [got] = machine.received();
    assert.deepEqual(got, Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, ...bytes));
    assert.equal(machine.irq.edges, before + 1);
    const { framesReceived, bytesReceived } = counters(machine);
    assert.deepEqual([framesReceived, bytesReceived], [1, 1000]);
  });

  it('is merged from buffers, all full but the last, which are seen at once (§5.1.6.4)', () => {
    const machine = new NetMachine();
    const bytes = frame(2500);
    machine.offer([1000, 1000, 1000, 1000]);
    machine.link.deliver(bytes);
    const parts = machine.received();
    assert.deepEqual(
      parts.map((it) => it.length),
      [1000, 1000, 512],
    );
    assert.deepEqual(parts[0]?.subarray(10, 12), Uint8Array.of(3, 0));
    assert.deepEqual(Buffer.concat(parts).subarray(HEADER_BYTES), Buffer.from(bytes));
    machine.link.deliver(frame(900));
    assert.deepEqual(
      machine.received().map((it) => it.length),
      [912],
    );
  });

  it('waits until the driver has offered room for all of it', () => {
    const machine = new NetMachine();
    machine.offer([500]);
    machine.link.deliver(frame(1000));
    assert.deepEqual(machine.received(), []);
    machine.offer([500]);
    assert.deepEqual(machine.received(), []);
    machine.offer([500]);
    assert.deepEqual(
      machine.received().map((it) => it.length),
      [500, 500, 12],
    );
  });

  it('that does not fit into all that the queue can hold is dropped and counted', () => {
    const machine = new NetMachine({ queueSize: 4 });
    machine.offer([1000, 1000, 1000, 1000]);
    machine.link.deliver(frame(4000 - HEADER_BYTES + 1));
    machine.link.deliver(frame(4000 - HEADER_BYTES));
    assert.equal(machine.link.waiting, 0);
    assert.equal(counters(machine)['receivedNoRoom'], 1);
    assert.deepEqual(
      machine.received().map((it) => it.length),
      [1000, 1000, 1000, 1000],
    );
  });

  it('of a driver whose buffers are in more pieces than are kept finds no room for what is larger', () => {
    const machine = new NetMachine({ queueSize: 256 });
    const driver = machine.driver(0);
    const at = driver.allocate(2000);
    for (let chain = 0; chain < 8; chain++) {
      const pieces = Array.from({ length: 130 }, (_, i) => writable(1, at + chain * 130 + i));
      driver.addIndirectChain(pieces);
    }
    machine.kick(0);
    machine.link.deliver(frame(1000));
    machine.link.deliver(frame(200));
    assert.equal(machine.link.waiting, 0);
    assert.equal(counters(machine)['receivedNoRoom'], 1);
    assert.equal(driver.used().length, 2);
  });

  it('is in one buffer without MRG_RXBUF, or dropped and counted', () => {
    const machine = new NetMachine({ without: [abi.VIRTIO_NET_F_MRG_RXBUF] });
    machine.offer([600, 600]);
    machine.link.deliver(frame(589));
    assert.deepEqual(machine.received(), []);
    assert.equal(counters(machine)['receivedNoRoom'], 1);
    machine.link.deliver(frame(588));
    assert.deepEqual(
      machine.received().map((it) => [it.length, it[10]]),
      [[600, 1]],
    );
  });

  it('may be reserved for larger than it comes, and the rest is of use for the next', () => {
    const machine = new NetMachine({ without: [abi.VIRTIO_NET_F_MRG_RXBUF] });
    machine.offer([600, 600]);
    const { port } = machine.link;
    for (const length of [100, 300]) {
      assert.ok(port.reserve(65550));
      port.write(0, frame(length));
      port.commit(length, NO_OFFLOAD);
    }
    assert.deepEqual(
      machine.received().map((it) => it.subarray(HEADER_BYTES)),
      [frame(100), frame(300)],
    );
    const merging = new NetMachine();
    merging.offer([600, 600, 600]);
    assert.ok(merging.link.port.reserve(1700));
    merging.link.port.write(0, frame(100));
    merging.link.port.commit(100, NO_OFFLOAD);
    merging.link.deliver(frame(1100));
    assert.deepEqual(
      merging.received().map((it) => it.length),
      [112, 600, 512],
    );
  });

  it('fits into buffers that are cut into descriptors anywhere', () => {
    const machine = new NetMachine();
    const driver = machine.driver(0);
    const pieces = [writable(3), writable(4), writable(5), writable(1), writable(500)];
    const head = driver.addChain(pieces);
    machine.kick(0);
    machine.link.deliver(frame(400));
    const places = [0, 1, 2, 3, 4].map((place) => driver.descriptorOf(head, place));
    const bytes = Buffer.concat(places.map((index) => driver.bytesOf(index)));
    assert.deepEqual(bytes.subarray(HEADER_BYTES, 412), Buffer.from(frame(400)));
    assert.deepEqual(driver.used(), [{ head, writtenBytes: 412 }]);
  });

  it('needs buffers with room for a header: a driver without breaks a rule', () => {
    const machine = new NetMachine();
    machine.offer([11]);
    machine.link.deliver(frame(100));
    const rule = Buffer.from(machine.state.regs.brokenRule).toString();
    assert.match(rule, /§5\.1\.6\.3\.1/);
    machine.link.deliver(frame(100));
    assert.equal(machine.link.waiting, 2);
  });

  it('is not lost while the VM is paused, and buffers are the driver’s meanwhile', () => {
    const machine = new NetMachine();
    machine.offer([600, 600]);
    assert.ok(machine.link.port.reserve(1000));
    machine.service.pause();
    assert.ok(machine.link.isPaused);
    machine.link.deliver(frame(300));
    assert.equal(machine.state.regs.queueNextAvail[0], 0);
    assert.deepEqual(machine.received(), []);
    machine.service.resume();
    assert.ok(!machine.link.isPaused);
    machine.run();
    assert.deepEqual(
      machine.received().map((it) => it.length),
      [312],
    );
  });
});

describe('the link', () => {
  it('goes down and up for the driver, and nothing passes while it is down', () => {
    const machine = new NetMachine({ without: [abi.VIRTIO_NET_F_GUEST_ANNOUNCE] });
    machine.offer([600]);
    const before = machine.irq.edges;
    machine.network.setUp(false);
    machine.run();
    assert.equal(machine.irq.edges, before + 1);
    assert.equal(config(machine, 'status'), 0);
    machine.send(frame(100));
    assert.equal(counters(machine)['sentLinkDown'], 1);
    assert.equal(machine.driver(1).used().length, 1);
    assert.equal(machine.link.port.reserve(100), false);
    assert.ok(machine.link.port.isCut && machine.link.calls.includes('onCut'));
    machine.link.port.drop('noRoom'); // as a link has it for which `reserve` fails
    assert.equal(machine.state.regs.receivedLinkDown, 1);
    machine.network.setUp(true);
    machine.run();
    assert.equal(config(machine, 'status'), abi.VIRTIO_NET_S_LINK_UP);
    assert.equal(machine.link.calls.at(-1), 'onRoom');
    machine.link.port.drop('noRoom');
    assert.equal(counters(machine)['receivedNoRoom'], 1);
    assert.equal(machine.link.port.reserve(100), true);
  });

  it('may be down from the start, and is so after a reset', () => {
    const machine = new NetMachine({ network: { ...LOOP, isDown: true } });
    assert.deepEqual([config(machine, 'status'), machine.network.isUp], [0, false]);
    assert.ok(machine.link.port.isCut);
    machine.network.setUp(true);
    machine.run();
    machine.mmio.status = 0;
    assert.equal(config(machine, 'status'), abi.VIRTIO_NET_S_LINK_UP);
  });

  it('that has lost its wire is down, too', () => {
    const machine = new NetMachine({ without: [abi.VIRTIO_NET_F_GUEST_ANNOUNCE] });
    machine.link.port.setCarrier(false);
    assert.equal(config(machine, 'status'), 0);
    assert.equal(machine.link.port.isCut, false);
    machine.link.port.setCarrier(true);
    assert.equal(config(machine, 'status'), abi.VIRTIO_NET_S_LINK_UP);
  });

  it('that is up again has the driver announce itself, until that has (§5.1.6.5.4)', () => {
    const machine = new NetMachine();
    machine.network.setUp(false);
    machine.network.setUp(true);
    machine.run();
    assert.equal(config(machine, 'status'), abi.VIRTIO_NET_S_LINK_UP | abi.VIRTIO_NET_S_ANNOUNCE);
    const ack = Uint8Array.of(abi.VIRTIO_NET_CTRL_ANNOUNCE, abi.VIRTIO_NET_CTRL_ANNOUNCE_ACK);
    assert.equal(machine.command(ack), abi.VIRTIO_NET_OK);
    assert.equal(config(machine, 'status'), abi.VIRTIO_NET_S_LINK_UP);
  });

  it('that is up again while the VM is paused has the driver announce itself after the pause', () => {
    const machine = new NetMachine();
    machine.service.pause();
    machine.network.setUp(false);
    machine.network.setUp(true);
    machine.run();
    machine.service.resume();
    assert.equal(config(machine, 'status'), abi.VIRTIO_NET_S_LINK_UP | abi.VIRTIO_NET_S_ANNOUNCE);
    machine.restart();
    assert.equal(config(machine, 'status'), abi.VIRTIO_NET_S_LINK_UP);
    const idle = new NetMachine({ isIdle: true });
    idle.network.setUp(false);
    idle.network.setUp(true);
    idle.run();
    assert.equal(config(idle, 'status'), abi.VIRTIO_NET_S_LINK_UP);
  });

  it('begins anew when the driver resets the device', () => {
    const machine = new NetMachine();
    machine.offer([600, 600]);
    assert.ok(machine.link.port.reserve(900));
    machine.mmio.status = 0;
    assert.ok(machine.link.calls.includes('reset'));
    assert.equal(machine.link.port.reserve(100), false);
    const again = new NetMachine();
    assert.equal(again.link.calls.includes('reset'), false);
  });

  it('reports its traffic, and what its link says, to whoever asks on main', async (t) => {
    let nowMs = 0;
    t.mock.method(performance, 'now', () => nowMs);
    const machine = new NetMachine();
    const report = (): Promise<LinkReport> => {
      const asked = machine.network.report();
      machine.run();
      return asked;
    };
    machine.send(frame(100));
    machine.run();
    machine.link.port.drop('noRoom');
    nowMs = 2000;
    const none = { malformed: 0, filtered: 0, linkDown: 0, hostBusy: 0 };
    const toGuest = { way: 'toGuest', frames: 0, bytes: 0, framesPerSecond: 0, bytesPerSecond: 0 };
    const fromGuest = { way: 'fromGuest', frames: 1, bytes: 100, framesPerSecond: 1, bytesPerSecond: 50 };
    assert.deepEqual(await report(), {
      traffic: [
        { ...fromGuest, noRoom: 0, ...none },
        { ...toGuest, noRoom: 1, ...none },
      ],
      frames: 1,
    });
    nowMs = 3000;
    machine.send(frame(100));
    machine.send(frame(80));
    machine.run();
    const { traffic } = (await report()) as { traffic: readonly LinkReport[] };
    assert.deepEqual([traffic[0]?.['framesPerSecond'], traffic[0]?.['bytesPerSecond']], [2, 180]);
  });

  it('of a locked interface sends the address that was checked, whatever the guest makes of it then', () => {
    const own = [0xfe, 0xe1, 0xbb, 0xd1, 0x12, 0x34];
    const machine = new NetMachine({ network: { ...LOOP, lladdr: 'fe:e1:bb:d1:12:34', isLocked: true } });
    const { link } = machine;
    const driver = machine.driver(1);
    const at = driver.allocate(100);
    const pieces: number[][] = [];
    const message: Pick<MessageIo, 'addBuffer' | 'addGuest'> = {
      addBuffer: ({ bytes }, offset, lengthBytes) =>
        pieces.push([...bytes.slice(offset, offset + lengthBytes)]) > 0,
      addGuest: (gpa, lengthBytes) => pieces.push([gpa, lengthBytes]) > 0,
    };
    const send = link.send.bind(link);
    link.send = (it, pair) => {
      driver.bytes.set(OTHER, at + 6); // another CPU of the guest does
      send(it, pair);
      it.addTo(message as MessageIo, 8, 50);
    };
    machine.sendChain([readable(new Uint8Array(HEADER_BYTES)), readable(frame(100, BROADCAST, own), at)]);
    assert.deepEqual(link.sent[0]?.bytes, frame(100, BROADCAST, own));
    assert.deepEqual(pieces, [
      [...own.slice(2), 0x88, 0xb5],
      [at + 14, 44],
    ]);
  });

  it('gives nothing of a frame where it ends, as of a packet without a payload', () => {
    const machine = new NetMachine({ network: { ...LOOP, lladdr: 'fe:e1:bb:d1:12:34', isLocked: true } });
    const { link } = machine;
    const own = [0xfe, 0xe1, 0xbb, 0xd1, 0x12, 0x34];
    const none: Pick<MessageIo, 'addBuffer' | 'addGuest'> = { addBuffer: () => true, addGuest: () => false };
    const send = link.send.bind(link);
    link.send = (it, pair) => {
      it.copyTo(new Uint8Array(0), it.lengthBytes);
      assert.equal(it.addTo(none as MessageIo, it.lengthBytes, 0), true);
      assert.equal(it.addTo(none as MessageIo, 0, 14), true);
      send(it, pair);
    };
    machine.sendChain([readable(new Uint8Array(HEADER_BYTES)), readable(frame(14, BROADCAST, own))]);
    assert.equal(link.sent.length, 1);
  });

  it('tells the driver of all frames before it pauses', () => {
    const machine = new NetMachine();
    machine.offer([600]);
    const interrupts = (): number => machine.state.regs.queueInterrupts[0] ?? 0;
    machine.link.deliver(frame(300));
    assert.equal(interrupts(), 0);
    machine.service.pause();
    assert.equal(interrupts(), 1);
  });

  it('of a locked interface sends from its own address only, and gets what is its own', () => {
    const lladdr = 'fe:e1:bb:d1:12:34';
    const own = [0xfe, 0xe1, 0xbb, 0xd1, 0x12, 0x34];
    const machine = new NetMachine({ network: { ...LOOP, lladdr, isLocked: true } });
    machine.send(frame(100, BROADCAST, OTHER));
    machine.send(frame(100, BROADCAST, own));
    assert.equal(machine.link.sent.length, 1);
    assert.equal(counters(machine)['sentFiltered'], 1);
    machine.offer([600, 600]);
    machine.link.deliver(frame(300, OTHER, own));
    assert.equal(counters(machine)['receivedFiltered'], 1);
    const unseen = machine.driver(0).bytesOf(0);
    assert.ok(
      unseen.every((it) => it === 0),
      'the frame is not in guest memory',
    );
    machine.link.deliver(frame(300, own));
    machine.link.deliver(frame(200, BROADCAST));
    assert.deepEqual(
      machine.received().map((it) => it.length),
      [312, 212],
    );
  });

  it('of a driver that sends without end leaves each turn to others after a bounded number of frames', () => {
    const machine = new NetMachine({ queueSize: 256 });
    const driver = machine.driver(1);
    const chain = [readable(Buffer.concat([new Uint8Array(HEADER_BYTES), frame(100)]))];
    const { link } = machine;
    let inTurn = 0;
    // Another CPU of the guest refills the ring while it is being served.
    link.send = () => {
      inTurn++;
      driver.used();
      driver.addChain(chain);
    };
    for (let i = 0; i < 200; i++) driver.addChain(chain);
    for (let turn = 0; turn < 20; turn++) {
      inTurn = 0;
      machine.service.onKick(1);
      assert.equal(inTurn, 256);
    }
  });
});
