/**
 * What a split virtqueue makes of a guest's memory, written for reading and not for speed: the queue under
 * test is compared with it. Virtio 1.2 §2.7.
 */
import type { QueueRings } from '../../vmm-core/devices/virtio/queue.ts';
import type { RamSlot } from '../../vmm-core/memory/guestMemory.ts';

export interface ReferenceChain {
  readonly head: number;
  readonly readable: readonly string[];
  readonly writable: readonly string[];
}

/** A section of the specification that the driver broke, or `empty`. */
export type ReferenceAnswer = ReferenceChain | string;

const LONGEST = 256;

/** `nextAvail`: how many were taken before. */
export function referencePop(
  slots: readonly RamSlot[],
  rings: QueueRings,
  nextAvail: number,
): ReferenceAnswer {
  const { size, desc, driver, hasIndirect } = rings;
  const available = u16(slots, driver + 2);
  const count = (available - nextAvail) & 0xffff;
  if (count > size) return '§2.7.6';
  if (count === 0) return 'empty';
  const head = u16(slots, driver + 4 + 2 * (nextAvail % size));
  const readable: string[] = [];
  const writable: string[] = [];
  let [table, entries, index, steps, total] = [BigInt(desc), size, head, 0, 0n];
  for (;;) {
    if (index >= entries) return '§2.7.5';
    if (steps++ === entries) return '§2.7.5.2';
    const at = Number(table) + 16 * index;
    const gpa = BigInt(u32(slots, at)) + (BigInt(u32(slots, at + 4)) << 32n);
    const [length, flags, next] = [u32(slots, at + 8), u16(slots, at + 12), u16(slots, at + 14)];
    if ((flags & 4) !== 0) {
      if (!hasIndirect || table !== BigInt(desc) || (flags & 1) !== 0) return '§2.7.5.3.1';
      if (length === 0 || length % 16 !== 0 || !isRam(slots, gpa, length)) return '§2.7.5.3';
      if (length / 16 > LONGEST) return '§2.7.5.3.1';
      [table, entries, index, steps] = [gpa, length / 16, 0, 0];
      continue;
    }
    if (length !== 0) {
      if (readable.length + writable.length === LONGEST) return '§2.7.5.3.1';
      if (!isRam(slots, gpa, length)) return '§2.7.5';
      if ((flags & 2) === 0 && writable.length > 0) return '§2.7.4.2';
      total += BigInt(length);
      if (total >= 1n << 32n) return '§2.7.5.2';
      ((flags & 2) === 0 ? readable : writable).push(`${length}@${gpa}`);
    }
    if ((flags & 1) === 0) return { head, readable, writable };
    index = next;
  }
}

function isRam(slots: readonly RamSlot[], gpa: bigint, length: number): boolean {
  return slots.some(
    ({ base, sizeBytes }) => gpa >= BigInt(base) && gpa + BigInt(length) <= BigInt(base + sizeBytes),
  );
}

function viewAt(slots: readonly RamSlot[], at: number): [DataView, number] {
  const slot = slots.find(({ base, sizeBytes }) => at >= base && at < base + sizeBytes);
  if (slot === undefined) throw new Error(`the reference looks at 0x${at.toString(16)}`);
  const { bytes, base } = slot;
  return [new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at - base];
}

function u16(slots: readonly RamSlot[], at: number): number {
  const [view, offset] = viewAt(slots, at);
  return view.getUint16(offset, true);
}

function u32(slots: readonly RamSlot[], at: number): number {
  const [view, offset] = viewAt(slots, at);
  return view.getUint32(offset, true);
}
