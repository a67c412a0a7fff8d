/** An interface on the PCI bus, and by the legacy interface, whose frames have another header. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_OFFLOAD } from '../../../../test/support/loopLink.ts';
import { MockDriver, readable, writable } from '../../../../test/support/mockDriver.ts';
import { FakePairServer } from '../../../../test/support/fakePairServer.ts';
import { NetMachine, type NetMachineOptions } from '../../../../test/support/netMachine.ts';
import { PciFinder } from '../../../../test/support/virtioMachine.ts';
import * as pci from '../../../abi/pci.ts';
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_S_LINK_UP,
} from '../../../abi/virtioNet.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM } from '../../../abi/virtioNetHdr.ts';
import * as abi from '../../../abi/virtioPci.ts';

const QUEUE_SIZE = 256;
const PAGE = 4096;
const CONFIG = 20; // behind the registers, without MSI-X

interface Legacy {
  readonly machine: NetMachine;
  readonly finder: PciFinder;
  readonly queues: readonly MockDriver[];
  read(offset: number, sizeBytes: number): number;
  write(offset: number, value: number, sizeBytes: number): void;
}

/** A driver of virtio 0.9, with the first two queues. */
function legacy(features: readonly number[], options: NetMachineOptions = {}): Legacy {
  const network = { kind: 'user', transport: 'pci' } as const;
  const machine = new NetMachine({ network, isIdle: true, ...options });
  const finder = new PciFinder(machine);
  finder.writeConfig(
    pci.PCI_COMMAND,
    pci.PCI_COMMAND_IO | pci.PCI_COMMAND_MEMORY | pci.PCI_COMMAND_MASTER,
    2,
  );
  const base = finder.readConfig(pci.PCI_BASE_ADDRESS_0) & ~3;
  const { ports } = machine.set;
  const read = (offset: number, sizeBytes: number): number => ports.read(base + offset, sizeBytes);
  const write = (offset: number, value: number, sizeBytes: number): void =>
    ports.write(base + offset, sizeBytes, value);
  write(abi.VIRTIO_PCI_STATUS, 1, 1);
  write(abi.VIRTIO_PCI_STATUS, 3, 1);
  write(
    abi.VIRTIO_PCI_GUEST_FEATURES,
    features.reduce((sum, bit) => sum | (1 << bit), 0),
    4,
  );
  const queues = [0, 1].map((index) => {
    const at = 0x10_0000 * (index + 1);
    write(abi.VIRTIO_PCI_QUEUE_SEL, index, 2);
    write(abi.VIRTIO_PCI_QUEUE_PFN, at / PAGE, 4);
    return new MockDriver({
      ...{ memory: machine.memory, size: QUEUE_SIZE, base: at },
      rings: { driver: at + 16 * QUEUE_SIZE, device: at + 2 * PAGE },
    });
  });
  write(abi.VIRTIO_PCI_STATUS, 7, 1);
  machine.run();
  return { machine, finder, queues, read, write };
}

function queue({ queues }: Legacy, index: number): MockDriver {
  const found = queues[index];
  if (found === undefined) throw new Error(`no queue ${index}`);
  return found;
}

describe('an interface on the PCI bus', () => {
  it('is an Ethernet controller of the transitional kind (§4.1.2.3)', () => {
    const { finder } = legacy([]);
    assert.equal(finder.readConfig(pci.PCI_VENDOR_ID), 0x1000_1af4);
    assert.equal(finder.readConfig(pci.PCI_CLASS_REVISION) >>> 8, 0x02_00_00);
    assert.notEqual(finder.capability(abi.VIRTIO_PCI_CAP_DEVICE_CFG), 0);
  });

  it('has a vector for each queue and one for its configuration', () => {
    const { finder } = legacy([]);
    const msix = finder.capabilityWithId(pci.PCI_CAP_ID_MSIX);
    assert.equal(finder.readConfig(msix + 2, 2) & 0x7ff, 3);
  });
});

describe('by the legacy interface', () => {
  it('the header is 10 bytes without MRG_RXBUF (§5.1.6.1)', () => {
    const it = legacy([VIRTIO_NET_F_CSUM]);
    const header = Uint8Array.of(VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, 0, 0, 0, 0, 34, 0, 6, 0);
    const bytes = Uint8Array.from({ length: 60 }, (_, i) => i);
    queue(it, 1).addChain([readable(header), readable(bytes)]);
    it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 1, 2);
    it.machine.run();
    const [sent] = it.machine.link.sent;
    assert.deepEqual([sent?.bytes, sent?.head], [bytes, bytes]);
    assert.deepEqual(sent?.offload, { ...NO_OFFLOAD, flags: 1, csumStart: 34, csumOffset: 6 });
    const head = queue(it, 0).addChain([writable(70)]);
    it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 0, 2);
    it.machine.run();
    it.machine.link.deliver(bytes);
    assert.deepEqual(queue(it, 0).used(), [{ head, writtenBytes: 70 }]);
    assert.deepEqual(queue(it, 0).bytesOf(head), Uint8Array.of(...new Uint8Array(10), ...bytes));
  });

  it('and 12 with it', () => {
    const it = legacy([VIRTIO_NET_F_MRG_RXBUF]);
    const bytes = Uint8Array.from({ length: 60 }, (_, i) => i);
    const heads = [queue(it, 0).addChain([writable(42)]), queue(it, 0).addChain([writable(42)])];
    it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 0, 2);
    it.machine.run();
    it.machine.link.deliver(bytes);
    assert.deepEqual(
      queue(it, 0).used(),
      heads.map((head, i) => ({ head, writtenBytes: i === 0 ? 42 : 30 })),
    );
  });

  it('queues whose headers are 10 bytes are not for the host to serve', () => {
    for (const [features, isServed] of [
      [[], false],
      [[VIRTIO_NET_F_MRG_RXBUF], true],
    ] as const) {
      const pairServer = new FakePairServer();
      legacy(features, { pairServer });
      assert.equal(pairServer.lent.size === 1, isServed);
    }
  });

  it('the driver writes its address into the configuration space (§5.1.4.3)', () => {
    const it = legacy([VIRTIO_NET_F_CTRL_VQ]);
    const mac = [0x52, 0x54, 0, 1, 2, 3];
    mac.forEach((byte, i) => it.write(CONFIG + i, byte, 1));
    assert.deepEqual([...it.machine.state.regs.config.subarray(0, 6)], mac);
    it.write(CONFIG + 6, 0, 2);
    assert.equal(it.read(CONFIG + 6, 2), VIRTIO_NET_S_LINK_UP);
  });
});
