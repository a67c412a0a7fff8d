import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { NO_OFFLOAD } from '../../../../test/support/loopLink.ts';
import { readable, writable } from '../../../../test/support/mockDriver.ts';
import { LOOP, NetMachine } from '../../../../test/support/netMachine.ts';
import * as abi from '../../../abi/virtioNet.ts';
import { decodeFilter } from './macFilter.ts';

const { VIRTIO_NET_OK: OK, VIRTIO_NET_ERR: ERR } = abi;
const OWN = [0xfe, 0xe1, 0xbb, 0xd1, 0x12, 0x34];
const OTHER = [0x52, 0x54, 0, 1, 2, 3];
const THIRD = [0x52, 0x54, 0, 1, 2, 4];
const GROUP = [0x33, 0x33, 0, 0, 0, 1];
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

function machine(more: { readonly cpus?: number; readonly without?: readonly number[] } = {}): NetMachine {
  const network = { ...LOOP, kind: 'tap', lladdr: 'fe:e1:bb:d1:12:34' } as const;
  return new NetMachine({ network, ...more });
}

function command(commandClass: number, cmd: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  return Uint8Array.of(commandClass, cmd, ...data);
}

function mode(it: NetMachine, cmd: number, value = 1): number {
  return it.command(command(abi.VIRTIO_NET_CTRL_RX, cmd, Uint8Array.of(value)));
}

function tables(unicast: readonly number[][], multicast: readonly number[][] = []): Uint8Array {
  const bytes = new Bytes().u32(unicast.length).u8(...unicast.flat());
  return bytes
    .u32(multicast.length)
    .u8(...multicast.flat())
    .done();
}

function setTables(it: NetMachine, data: Uint8Array): number {
  return it.command(command(abi.VIRTIO_NET_CTRL_MAC, abi.VIRTIO_NET_CTRL_MAC_TABLE_SET, data));
}

/** Of frames to these addresses, those that the driver gets. */
function received(it: NetMachine, to: readonly number[][], tag: readonly number[] = []): number[][] {
  it.offer(to.map(() => 600));
  for (const address of to) {
    const bytes = Uint8Array.from({ length: 60 }, (_, i) => i);
    bytes.set([...address, ...OTHER, ...(tag.length === 0 ? [8, 0] : tag)]);
    it.link.deliver(bytes, NO_OFFLOAD);
  }
  return it.received().map((bytes) => [...bytes.subarray(12, 18)]);
}

describe('receive modes (§5.1.6.5.1)', () => {
  it('are promiscuous at first, and after a reset', () => {
    const it = machine();
    assert.deepEqual(received(it, [OTHER, GROUP]), [OTHER, GROUP]);
    assert.equal(mode(it, abi.VIRTIO_NET_CTRL_RX_PROMISC, 0), OK);
    assert.deepEqual(received(it, [OTHER, GROUP, OWN, BROADCAST]), [OWN, BROADCAST]);
    assert.equal(it.state.regs.receivedFiltered, 2);
  });

  it('let all of a kind pass, or none', () => {
    const all = [OWN, OTHER, GROUP, BROADCAST];
    const cases: readonly (readonly [number, number[][]])[] = [
      [abi.VIRTIO_NET_CTRL_RX_ALLMULTI, [OWN, GROUP, BROADCAST]],
      [abi.VIRTIO_NET_CTRL_RX_ALLUNI, [OWN, OTHER, BROADCAST]],
      [abi.VIRTIO_NET_CTRL_RX_NOMULTI, [OWN, BROADCAST]],
      [abi.VIRTIO_NET_CTRL_RX_NOUNI, [BROADCAST]],
      [abi.VIRTIO_NET_CTRL_RX_NOBCAST, [OWN]],
    ];
    for (const [cmd, passing] of cases) {
      const it = machine();
      mode(it, abi.VIRTIO_NET_CTRL_RX_PROMISC, 0);
      assert.equal(mode(it, cmd), OK);
      assert.deepEqual(received(it, all), passing);
      assert.equal(mode(it, cmd, 0), OK);
      assert.deepEqual(received(it, all), [OWN, BROADCAST]);
    }
  });

  it('are on or off, known, and negotiated', () => {
    const it = machine();
    assert.equal(mode(it, abi.VIRTIO_NET_CTRL_RX_PROMISC, 2), ERR);
    assert.equal(mode(it, 6), ERR);
    assert.equal(it.command(command(abi.VIRTIO_NET_CTRL_RX, 0)), ERR);
    assert.equal(it.command(command(abi.VIRTIO_NET_CTRL_RX, 0, Uint8Array.of(0, 0))), ERR);
    const few = machine({ without: [abi.VIRTIO_NET_F_CTRL_RX_EXTRA] });
    assert.deepEqual([mode(few, abi.VIRTIO_NET_CTRL_RX_ALLUNI), mode(few, 0)], [ERR, OK]);
    const { commands, failedCommands } = few.state.regs;
    assert.deepEqual([commands, failedCommands], [2, 1]);
  });
});

describe('addresses (§5.1.6.5.2)', () => {
  it('of the table pass, and it is replaced as a whole', () => {
    const it = machine();
    mode(it, abi.VIRTIO_NET_CTRL_RX_PROMISC, 0);
    assert.equal(setTables(it, tables([OTHER], [GROUP])), OK);
    assert.deepEqual(received(it, [OTHER, THIRD, GROUP]), [OTHER, GROUP]);
    const { unicast, multicast } = decodeFilter(it.state.regs);
    assert.deepEqual([unicast, multicast], [['52:54:00:01:02:03'], ['33:33:00:00:00:01']]);
    assert.equal(setTables(it, tables([THIRD])), OK);
    assert.deepEqual(received(it, [OTHER, THIRD, GROUP]), [THIRD]);
  });

  it('that are too many let all of their kind pass', () => {
    const it = machine();
    mode(it, abi.VIRTIO_NET_CTRL_RX_PROMISC, 0);
    const many = Array.from({ length: 65 }, (_, i) => [0x52, 0x54, 1, 1, 1, i]);
    assert.equal(setTables(it, tables(many)), OK);
    assert.deepEqual(received(it, [OTHER, GROUP]), [OTHER]);
    assert.equal(decodeFilter(it.state.regs)['isTableCut'], true);
    assert.equal(setTables(it, tables(many.slice(0, 64))), OK);
    assert.deepEqual(received(it, [OTHER, many[63] ?? []]), [many[63]]);
  });

  it('whose table is cut short change nothing', () => {
    const it = machine();
    setTables(it, tables([OTHER]));
    const whole = tables([THIRD], [GROUP]);
    for (let length = 0; length < whole.length; length++)
      assert.equal(setTables(it, whole.subarray(0, length)), ERR);
    assert.equal(setTables(it, Uint8Array.of(...whole, 0)), ERR);
    assert.equal(setTables(it, new Bytes().u32(0xffff_ffff, 0).done()), ERR);
    assert.deepEqual(decodeFilter(it.state.regs)['unicast'], ['52:54:00:01:02:03']);
  });

  it('may be set anew, and the configuration space tells', () => {
    const it = machine();
    const set = (data: readonly number[]): number =>
      it.command(command(abi.VIRTIO_NET_CTRL_MAC, abi.VIRTIO_NET_CTRL_MAC_ADDR_SET, Uint8Array.from(data)));
    mode(it, abi.VIRTIO_NET_CTRL_RX_PROMISC, 0);
    assert.equal(set(OTHER), OK);
    assert.deepEqual([...it.state.regs.config.subarray(0, 6)], OTHER);
    assert.deepEqual([...it.link.port.mac], OTHER);
    assert.deepEqual(received(it, [OWN, OTHER]), [OTHER]);
    assert.deepEqual([set(GROUP), set([0, 0, 0, 0, 0, 0]), set([1, 2, 3])], [ERR, ERR, ERR]);
    it.mmio.status = 0;
    assert.deepEqual([...it.state.regs.config.subarray(0, 6)], OWN);
    assert.deepEqual([...it.link.port.mac], OWN);
  });
});

it('VLANs pass that were added, and frames without a tag (§5.1.6.5.3)', () => {
  const it = machine();
  const vlan = (cmd: number, id: number): number =>
    it.command(command(abi.VIRTIO_NET_CTRL_VLAN, cmd, new Bytes().u16(id).done()));
  mode(it, abi.VIRTIO_NET_CTRL_RX_PROMISC, 0);
  const tag = [0x81, 0x00, 0x20, 0x2a]; // 42, with a priority
  assert.deepEqual(received(it, [OWN], tag), []);
  assert.equal(vlan(abi.VIRTIO_NET_CTRL_VLAN_ADD, 42), OK);
  assert.deepEqual(received(it, [OWN], tag), [OWN]);
  assert.deepEqual(decodeFilter(it.state.regs)['vlans'], [42]);
  assert.equal(vlan(abi.VIRTIO_NET_CTRL_VLAN_DEL, 42), OK);
  assert.deepEqual(received(it, [OWN], tag), []);
  assert.deepEqual(received(it, [OWN]), [OWN]);
  assert.deepEqual([vlan(abi.VIRTIO_NET_CTRL_VLAN_ADD, 4096), vlan(2, 1)], [ERR, ERR]);
  const plain = machine({ without: [abi.VIRTIO_NET_F_CTRL_VLAN] });
  mode(plain, abi.VIRTIO_NET_CTRL_RX_PROMISC, 0);
  assert.deepEqual(received(plain, [OWN], tag), [OWN]);
});

describe('pairs of queues (§5.1.6.5.5)', () => {
  const setPairs = (it: NetMachine, pairs: number, queue?: number): number =>
    it.command(
      command(abi.VIRTIO_NET_CTRL_MQ, abi.VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, new Bytes().u16(pairs).done()),
      queue,
    );

  it('are one until the driver asks for more, of those that there are', () => {
    const it = machine({ cpus: 3 });
    assert.equal(it.drivers.length, 7);
    for (const pair of [0, 1, 2]) it.offer([600, 600], pair);
    it.link.deliver(new Uint8Array(60), NO_OFFLOAD, 2);
    assert.deepEqual([it.received(0).length, it.received(2).length], [1, 0]);
    assert.deepEqual([setPairs(it, 3), setPairs(it, 0), setPairs(it, 4)], [OK, ERR, ERR]);
    it.link.deliver(new Uint8Array(60), NO_OFFLOAD, 2);
    assert.deepEqual([it.received(0).length, it.received(2).length], [0, 1]);
    it.sendChain([readable(12 + 60)], 1);
    assert.equal(it.link.sent.at(-1)?.pair, 1);
    assert.equal(it.state.regs.pairs, 3);
    it.mmio.status = 0;
    assert.equal(it.state.regs.pairs, 0);
  });

  it('have what comes of a flow where the driver has sent of it, of those in use (§5.1.6.5.6)', () => {
    const it = machine({ cpus: 3 });
    for (const pair of [0, 1, 2]) it.offer([600, 600, 600], pair);
    const perPair = (): number[] => [0, 1, 2].map((pair) => it.received(pair).length);
    const ends = [10, 0, 2, 15, 192, 0, 2, 7, 0x9c, 0x40, 1, 0xbb];
    const backwards = [192, 0, 2, 7, 10, 0, 2, 15, 1, 0xbb, 0x9c, 0x40];
    const ip = [8, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    const out = Uint8Array.from({ length: 60 }, (_, i) => [...OTHER, ...OWN, ...ip, ...ends][i] ?? 0);
    const back = Uint8Array.from({ length: 60 }, (_, i) => [...OWN, ...OTHER, ...ip, ...backwards][i] ?? 0);
    const send = (pair: number): void => it.send(out, undefined, pair);
    send(1);
    it.link.deliver(back);
    assert.deepEqual(perPair(), [1, 0, 0], 'pairs that are not in use');
    assert.equal(setPairs(it, 3), OK);
    it.link.deliver(back); // of a flow that is not known yet, on any
    assert.equal(
      perPair().reduce((sum, count) => sum + count),
      1,
    );
    for (const pair of [1, 2, 0]) {
      send(pair);
      it.link.deliver(back);
      assert.deepEqual(
        perPair(),
        [0, 1, 2].map((one) => (one === pair ? 1 : 0)),
      );
    }
    send(2);
    assert.equal(setPairs(it, 2), OK);
    it.link.deliver(back);
    assert.equal(it.received(2).length, 0, 'on a pair that is out of use');
  });

  it('that are fewer have what waited for room in the others', () => {
    const it = machine({ cpus: 2 });
    it.offer([600, 600]);
    assert.equal(setPairs(it, 2), OK);
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => [...OWN, ...OTHER, 8, 6][i] ?? i);
    it.link.deliver(bytes, undefined, 1);
    it.link.deliver(bytes, undefined, 0);
    assert.equal(it.link.waiting, 2);
    assert.equal(setPairs(it, 1), OK);
    assert.equal(it.link.waiting, 0);
    assert.equal(it.received(0).length, 2);
  });

  it('without MQ are one, and the control queue is the third (§5.1.2)', () => {
    const it = machine({ cpus: 3, without: [abi.VIRTIO_NET_F_MQ] });
    assert.equal(it.command(command(abi.VIRTIO_NET_CTRL_RX, 0, Uint8Array.of(0)), 2), OK);
    assert.equal(setPairs(it, 1, 2), ERR);
  });
});

describe('offloads of the guest (§5.1.6.5.8)', () => {
  const set = (it: NetMachine, bits: readonly number[]): number => {
    const word = bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
    const data = new Bytes().u64(word).done();
    return it.command(command(abi.VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, data));
  };

  it('are those negotiated, and may be switched off and on', () => {
    const it = machine();
    assert.deepEqual(it.link.port.offloads, {
      ...{ csum: true, tso4: true, tso6: true, ecn: true, ufo: true, uso4: true, uso6: true },
    });
    const calls = it.link.calls.filter((call) => call === 'onOffloads').length;
    assert.equal(set(it, [abi.VIRTIO_NET_F_GUEST_CSUM, abi.VIRTIO_NET_F_GUEST_USO4]), OK);
    const { csum, tso4, uso4 } = it.link.port.offloads;
    assert.deepEqual([csum, tso4, uso4], [true, false, true]);
    assert.equal(it.link.calls.filter((call) => call === 'onOffloads').length, calls + 1);
    assert.equal(set(it, []), OK);
    assert.equal(it.link.port.offloads.csum, false);
  });

  it('that were not negotiated, or are none, are refused', () => {
    const it = machine({ without: [abi.VIRTIO_NET_F_GUEST_TSO4] });
    assert.equal(set(it, [abi.VIRTIO_NET_F_GUEST_TSO4]), ERR);
    assert.equal(set(it, [abi.VIRTIO_NET_F_MAC]), ERR);
    assert.equal(it.link.port.offloads.tso6, true);
    assert.equal(it.command(command(abi.VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, Uint8Array.of(0))), ERR);
  });
});

describe('the control queue (§5.1.6.5)', () => {
  it('refuses what it does not know', () => {
    const it = machine();
    for (const [commandClass, cmd] of [
      [6, 0],
      [255, 255],
      [abi.VIRTIO_NET_CTRL_MAC, 2],
      [abi.VIRTIO_NET_CTRL_ANNOUNCE, 1],
      [abi.VIRTIO_NET_CTRL_MQ, 1],
    ])
      assert.equal(it.command(command(commandClass ?? 0, cmd ?? 0, new Uint8Array(8))), ERR);
  });

  it('has its commands cut into descriptors anywhere', () => {
    const it = machine();
    const bytes = command(abi.VIRTIO_NET_CTRL_MAC, 0, tables([OTHER, THIRD], [GROUP]));
    const driver = it.driver(2);
    const answer = driver.allocate(1);
    driver.addChain([...[...bytes].map((byte) => readable(Uint8Array.of(byte))), writable(1, answer)]);
    it.kick(2);
    assert.equal(driver.view.getUint8(answer), OK);
    assert.equal((decodeFilter(it.state.regs)['unicast'] as string[]).length, 2);
  });

  it('needs a header and room for an answer: a driver without breaks a rule', () => {
    for (const chain of [[readable(1), writable(1)], [readable(10)], [writable(1)]]) {
      const it = machine();
      it.driver(2).addChain(chain);
      it.kick(2);
      assert.match(Buffer.from(it.state.regs.brokenRule).toString(), /^§5\.1\.6\.5: /);
    }
  });

  it('takes all commands of a kick', () => {
    const it = machine();
    const driver = it.driver(2);
    const data = driver.allocate(3);
    const answer = driver.allocate(1);
    driver.bytes.set(command(abi.VIRTIO_NET_CTRL_RX, 0, Uint8Array.of(0)), data);
    for (let i = 0; i < 32; i++) driver.addChain([readable(3, data), writable(1, answer)]);
    it.kick(2);
    assert.equal(driver.used().length, 32);
  });
});
