/**
 * A pair of a guest's queues that the host's kernel serves (/dev/vhost-net; drivers/vhost of Linux): it moves
 * frames between them and a tap by itself. It gets the guest's RAM as a table, in which it looks up whatever
 * a descriptor says, and the rings as addresses of this process. Results are -errno for errors.
 */
import { closeSync, constants, openSync } from 'node:fs';
import {
  VHOST_FILE_UNBIND,
  VHOST_GET_FEATURES,
  VHOST_GET_VRING_BASE,
  VHOST_NET_SET_BACKEND,
  VHOST_SET_FEATURES,
  VHOST_SET_MEM_TABLE,
  VHOST_SET_OWNER,
  VHOST_SET_VRING_ADDR,
  VHOST_SET_VRING_BASE,
  VHOST_SET_VRING_CALL,
  VHOST_SET_VRING_ERR,
  VHOST_SET_VRING_KICK,
  VHOST_SET_VRING_NUM,
  VhostMemory,
  VhostMemoryRegion,
  VhostVringAddr,
  VhostVringFile,
  VhostVringState,
} from '../../abi/vhost.ts';
import { VIRTIO_F_VERSION_1 } from '../../abi/virtioConfig.ts';
import { VIRTIO_NET_F_MRG_RXBUF } from '../../abi/virtioNet.ts';
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '../../abi/virtioRing.ts';
import type { RamSlot } from '../../memory/guestMemory.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { EFAULT, EOPNOTSUPP } from '../errno.ts';
import { takeEvents } from '../io/syscalls.ts';
import { addressOf, closeFd, createEventFd, hostAddress, tryIoctlStruct } from '../libc.ts';

export const VHOST_NET_DEVICE = '/dev/vhost-net';

/** All that a driver of ours may have chosen and that changes what is in a ring. */
const FEATURES = [
  VIRTIO_RING_F_INDIRECT_DESC,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_F_VERSION_1,
];
const U16_MASK = 0xffff;
const EVENT_BYTES = 8;

/** receiveq and transmitq, as the kernel numbers them. */
export const RINGS = [0, 1] as const;
export type Ring = (typeof RINGS)[number];

/** Guest-physical addresses, each inside one slot of RAM with all of its ring. */
export interface VhostRing {
  readonly size: number;
  readonly desc: number;
  /** The available ring. */
  readonly driver: number;
  /** The used ring. */
  readonly device: number;
  readonly nextAvail: number;
  /** An eventfd that the guest signals. */
  readonly kickFd: number;
}

type Ioctl = typeof tryIoctlStruct;

/** A descriptor of this process's, for one pair; or -errno, -EOPNOTSUPP: it is too old. */
export function openVhostNet(ioctl: Ioctl = tryIoctlStruct): number {
  const fd = openDevice();
  if (fd < 0) return fd;
  const features = new BigUint64Array(1);
  let result = ioctl(fd, VHOST_GET_FEATURES, features);
  if (result >= 0 && !FEATURES.every((bit) => ((features[0] ?? 0n) >> BigInt(bit)) & 1n))
    result = -EOPNOTSUPP;
  if (result >= 0) result = ioctl(fd, VHOST_SET_OWNER, new Uint8Array());
  if (result >= 0) return fd;
  closeSync(fd);
  return result;
}

/** By node:fs: it closes on exec. */
function openDevice(): number {
  try {
    return openSync(VHOST_NET_DEVICE, constants.O_RDWR);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    return errno; // negative, as libuv has them
  }
}

/** On one thread. */
export class VhostPair {
  /** Eventfds by ring: buffers were used, and the driver wants to know. */
  readonly callFds: readonly number[];
  /** An eventfd: the kernel has given a ring up, since the guest has broken a rule. */
  readonly errFd: number;
  readonly #fd: number;
  readonly #ioctl: Ioctl;
  readonly #events = new IoBuffer(EVENT_BYTES);

  /** Owns `fd`, of openVhostNet. Throws KvmError when there is no descriptor left. */
  constructor(fd: number, ioctl: Ioctl = tryIoctlStruct) {
    this.#fd = fd;
    this.#ioctl = ioctl;
    this.callFds = RINGS.map(() => createEventFd());
    this.errFd = createEventFd();
  }

  /**
   * Serves the rings from now on, between them and a queue of a tap. 0, or -errno, and nothing is served.
   * Safety: RAM lives as long as the descriptor, which keeps its addresses; a ring that is not in it is
   * refused here, and the kernel checks what descriptors say against the table.
   */
  start(
    ram: readonly RamSlot[],
    rings: readonly [VhostRing, VhostRing],
    tapFd: number,
    hasFeature: (bit: number) => boolean,
  ): number {
    const features = FEATURES.filter(hasFeature).reduce((word, bit) => word | (1n << BigInt(bit)), 0n);
    const result = firstError([
      () => this.#ioctl(this.#fd, VHOST_SET_FEATURES, BigUint64Array.of(features)),
      () => this.#ioctl(this.#fd, VHOST_SET_MEM_TABLE, memoryTable(ram)),
      ...RINGS.map((ring) => () => this.#setUp(ram, ring, rings[ring])),
      ...RINGS.map((ring) => () => this.#setFile(VHOST_NET_SET_BACKEND, ring, tapFd)),
    ]);
    if (result < 0) this.stop();
    return result;
  }

  /** Nothing is under way any more when it returns. By ring, the next available chain, as far as it came. */
  stop(): readonly [number, number] {
    for (const ring of RINGS) this.#setFile(VHOST_NET_SET_BACKEND, ring, VHOST_FILE_UNBIND);
    for (const ring of RINGS) this.#setFile(VHOST_SET_VRING_KICK, ring, VHOST_FILE_UNBIND);
    return [this.#nextAvail(RINGS[0]), this.#nextAvail(RINGS[1])];
  }

  /** Whether the driver was to be told of something since this was asked last. */
  takeCalls(ring: Ring): boolean {
    return takeEvents(this.callFds[ring] ?? -1, Number(hostAddress(this.#events.memory))) > 0;
  }

  close(): void {
    for (const fd of [this.#fd, ...this.callFds, this.errFd]) closeFd(fd);
  }

  #setUp(ram: readonly RamSlot[], ring: Ring, { size, nextAvail, kickFd, ...at }: VhostRing): number {
    const address = ringAddress(ram, ring, at);
    if (address === undefined) return -EFAULT;
    return firstError([
      () => this.#setState(VHOST_SET_VRING_NUM, ring, size),
      () => this.#setState(VHOST_SET_VRING_BASE, ring, nextAvail),
      () => this.#ioctl(this.#fd, VHOST_SET_VRING_ADDR, address),
      () => this.#setFile(VHOST_SET_VRING_KICK, ring, kickFd),
      () => this.#setFile(VHOST_SET_VRING_CALL, ring, this.callFds[ring] ?? -1),
      () => this.#setFile(VHOST_SET_VRING_ERR, ring, this.errFd),
    ]);
  }

  #setState(request: number, index: Ring, num: number): number {
    return this.#ioctl(this.#fd, request, VhostVringState.bytes({ index, num }));
  }

  #setFile(request: number, index: Ring, fd: number): number {
    return this.#ioctl(this.#fd, request, VhostVringFile.bytes({ index, fd }));
  }

  #nextAvail(index: Ring): number {
    const state = VhostVringState.bytes({ index });
    this.#ioctl(this.#fd, VHOST_GET_VRING_BASE, state);
    return VhostVringState.read(new DataView(state.buffer)).num & U16_MASK;
  }
}

/** Takes one step after the other, until one fails. */
function firstError(steps: readonly (() => number)[]): number {
  for (const step of steps) {
    const result = step();
    if (result < 0) return result;
  }
  return 0;
}

function memoryTable(ram: readonly RamSlot[]): Uint8Array {
  const table = new Uint8Array(VhostMemory.size + ram.length * VhostMemoryRegion.size);
  const view = new DataView(table.buffer);
  VhostMemory.write(view, { nregions: ram.length });
  ram.forEach(({ base, sizeBytes, bytes }, i) => {
    const region = {
      guest_phys_addr: BigInt(base),
      memory_size: BigInt(sizeBytes),
      userspace_addr: addressOf(bytes),
    };
    VhostMemoryRegion.write(view, region, VhostMemory.size + i * VhostMemoryRegion.size);
  });
  return table;
}

/** Undefined: one of the three is not in RAM. */
function ringAddress(
  ram: readonly RamSlot[],
  index: Ring,
  { desc, driver, device }: Pick<VhostRing, 'desc' | 'driver' | 'device'>,
): Uint8Array | undefined {
  const [descAt, availAt, usedAt] = [desc, driver, device].map((gpa) => {
    const slot = ram.find(({ base, sizeBytes }) => gpa >= base && gpa < base + sizeBytes);
    return slot && addressOf(slot.bytes) + BigInt(gpa - slot.base);
  });
  if (descAt === undefined || availAt === undefined || usedAt === undefined) return undefined;
  return VhostVringAddr.bytes({
    index,
    desc_user_addr: descAt,
    avail_user_addr: availAt,
    used_user_addr: usedAt,
  });
}
