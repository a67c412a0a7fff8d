/** Memory that the guest does without for now: the host gets it back, and it reads as zero from then on. */
import { KvmError } from '../../errors.ts';
import { discard } from '../../kvm/libc.ts';
import { type Gpa, type GuestMemory } from '../../memory/guestMemory.ts';

/**
 * Whole pages, all inside one slot. The next access gets a fresh page of zeros, whoever makes it. A device
 * may have I/O under way into them: the kernel holds the pages of that until it is done, so only what the
 * guest would have read there is lost, which is its own doing. Returns why the host refuses, as it does for
 * memory that is locked.
 */
export function giveBack(memory: GuestMemory, address: Gpa, lengthBytes: number): string | undefined {
  try {
    discard(memory.slice(address, lengthBytes));
    return undefined;
  } catch (error) {
    if (error instanceof KvmError) return error.message;
    throw error;
  }
}
