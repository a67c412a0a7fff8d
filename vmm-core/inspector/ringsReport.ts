/**
 * The rings of a split virtqueue as they are in guest memory (virtio 1.2 §2.7), and the chains that wait in
 * them. The guest may rewrite them at any time, and what it says may be anything: each value is read once,
 * every range is checked, every loop has a bound.
 */
import {
  VRING_DESC_BYTES,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_HEADER_BYTES,
  VRING_USED_ELEM_BYTES,
  VRING_USED_F_NO_NOTIFY,
} from '../abi/virtioRing.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import type { BufferReport, ChainReport, RingsReport } from '../protocol/devices.ts';
import { hex } from '../protocol/hex.ts';

/** What the device has of a queue in its registers. */
export interface QueuePlaces {
  readonly size: number;
  readonly desc: number;
  /** The available ring. */
  readonly driver: number;
  /** The used ring. */
  readonly device: number;
  readonly hasEventIdx: boolean;
  readonly hasIndirect: boolean;
  /** Absent: somebody else serves it, and only the used ring says how far that has come. */
  readonly nextAvail?: number;
  readonly nextUsed?: number;
}

const MAX_QUEUE_SIZE = 32768; // §2.7
const MAX_CHAINS = 8;
const MAX_BUFFERS = 64;
const EVENT_BYTES = 2;
const U16 = 0xffff;

/** A sentence when they are not in memory. */
export function readRings(places: QueuePlaces, memory: GuestMemory): RingsReport | string {
  const problem = ringsProblem(places, memory);
  if (problem !== undefined) return problem;
  const { size, driver, device, hasEventIdx } = places;
  const u16 = (at: number): number => memory.readU16(gpa(at));
  const usedIdx = u16(device + 2);
  const { nextAvail = usedIdx, nextUsed = usedIdx } = places;
  const availIdx = u16(driver + 2);
  const usedFlags = u16(device);
  const availEvent = u16(device + usedBytes(size));
  const available = availableChains(availIdx, nextAvail, size);
  // §2.7.10: with the event index the device asks for a kick at one chain, otherwise by its flag.
  const isKickDue = hasEventIdx
    ? ((availIdx - availEvent - 1) & U16) < available
    : (usedFlags & VRING_USED_F_NO_NOTIFY) === 0;
  return {
    availFlags: u16(driver),
    availIdx,
    usedFlags,
    usedIdx,
    ...(hasEventIdx ? { usedEvent: u16(driver + availBytes(size)), availEvent } : {}),
    nextAvail,
    inFlight: (nextAvail - nextUsed) & U16,
    available,
    chains: nextHeads(available, { ...places, nextAvail }, memory).map((head) =>
      readChain(head, places, memory),
    ),
    ...(available > 0 && isKickDue ? { noKickSince: nextAvail } : {}),
  };
}

function ringsProblem({ size, desc, driver, device }: QueuePlaces, memory: GuestMemory): string | undefined {
  if (size === 0 || size > MAX_QUEUE_SIZE) return `a queue of ${size} entries`;
  const areas = [
    ['descriptor table', desc, VRING_DESC_BYTES * size],
    ['available ring', driver, availBytes(size) + EVENT_BYTES],
    ['used ring', device, usedBytes(size) + EVENT_BYTES],
  ] as const;
  const outside = areas.find(([, at, lengthBytes]) => !memory.contains(at, lengthBytes));
  return outside === undefined ? undefined : `the ${outside[0]} is outside guest memory`;
}

/** Without its event index. */
function availBytes(size: number): number {
  return VRING_HEADER_BYTES + 2 * size;
}
function usedBytes(size: number): number {
  return VRING_HEADER_BYTES + VRING_USED_ELEM_BYTES * size;
}

/** §2.7.6: the driver is never further ahead than the queue is long; if it says so, nothing is there. */
function availableChains(availIdx: number, nextAvail: number, size: number): number {
  const ahead = (availIdx - nextAvail) & U16;
  return ahead <= size ? ahead : 0;
}

function nextHeads(
  available: number,
  { driver, nextAvail, size }: Pick<QueuePlaces, 'driver' | 'size'> & { readonly nextAvail: number },
  memory: GuestMemory,
): number[] {
  return Array.from({ length: Math.min(available, MAX_CHAINS) }, (_, i) =>
    memory.readU16(gpa(driver + VRING_HEADER_BYTES + 2 * ((nextAvail + i) % size))),
  );
}

/** A table of descriptors: the queue's, or an indirect one. */
interface Table {
  readonly at: number;
  readonly entries: number;
  readonly isIndirect: boolean;
}

interface Descriptor {
  readonly address: bigint;
  readonly lengthBytes: number;
  readonly flags: number;
  readonly next: number;
}

function readChain(head: number, places: QueuePlaces, memory: GuestMemory): ChainReport {
  const { desc, size } = places;
  const buffers: BufferReport[] = [];
  let table: Table = { at: desc, entries: size, isIndirect: false };
  let index = head;
  for (let steps = 0; steps < MAX_BUFFERS; steps++) {
    if (index >= table.entries) return { head, buffers, problem: `descriptor ${index} of ${table.entries}` };
    const { address, lengthBytes, flags, next } = readDescriptor(memory, table.at + VRING_DESC_BYTES * index);
    if ((flags & VRING_DESC_F_INDIRECT) !== 0) {
      const problem = places.hasIndirect
        ? indirectProblem(address, lengthBytes, flags, table, memory)
        : 'an indirect table, which was not negotiated';
      if (problem !== undefined) return { head, buffers, problem };
      table = { at: Number(address), entries: lengthBytes / VRING_DESC_BYTES, isIndirect: true };
      index = 0;
      continue;
    }
    const isWritable = (flags & VRING_DESC_F_WRITE) !== 0;
    buffers.push({ address: hex(address), lengthBytes, isWritable, isIndirect: table.isIndirect });
    if (!memory.contains(Number(address), lengthBytes))
      return { head, buffers, problem: 'the last buffer is outside guest memory' };
    if (!isWritable && lengthBytes > 0 && buffers.some((it) => it.isWritable && it.lengthBytes > 0))
      return { head, buffers, problem: 'the last buffer is to be read after one to be written' };
    if ((flags & VRING_DESC_F_NEXT) === 0) return { head, buffers };
    index = next;
  }
  return { head, buffers, problem: `more than ${MAX_BUFFERS} descriptors, or a loop` };
}

function readDescriptor(memory: GuestMemory, at: number): Descriptor {
  return {
    address: memory.readU64(gpa(at)),
    lengthBytes: memory.readU32(gpa(at + 8)),
    flags: memory.readU16(gpa(at + 12)),
    next: memory.readU16(gpa(at + 14)),
  };
}

/** §2.7.5.3. */
function indirectProblem(
  address: bigint,
  lengthBytes: number,
  flags: number,
  { isIndirect }: Table,
  memory: GuestMemory,
): string | undefined {
  if ((flags & VRING_DESC_F_NEXT) !== 0) return 'an indirect table with a next descriptor';
  if (isIndirect) return 'an indirect table inside an indirect table';
  if (lengthBytes === 0 || lengthBytes % VRING_DESC_BYTES !== 0)
    return `an indirect table of ${lengthBytes} bytes`;
  return memory.contains(Number(address), lengthBytes) ? undefined : 'an indirect table outside guest memory';
}
