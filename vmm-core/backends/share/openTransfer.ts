/** The way between files of a share and guest memory, for the service of its device. */
import { GuestTransfer } from '../../kvm/guestTransfer.ts';
import type { GuestMemory } from '../../memory/guestMemory.ts';

export type FileTransfer = Pick<GuestTransfer, 'iovecs' | 'read' | 'write'>;

export function openTransfer(memory: GuestMemory): FileTransfer {
  return new GuestTransfer(memory);
}
