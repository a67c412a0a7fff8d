/**
 * Guest RAM in huge pages. KVM maps one for the guest only where its guest-physical and its host address are
 * the same modulo its size; a wasm memory begins at any multiple of 64 KiB.
 */
import type { RamPlacement } from '../memory/guestMemory.ts';
import { addressOf, preferHugePages } from './libc.ts';

const HUGE_PAGE_BYTES = 2 << 20;

export const HUGE_PAGES: RamPlacement = {
  slackBytes: HUGE_PAGE_BYTES,
  place: (memory, base) => {
    const bytes = new Uint8Array(memory.buffer);
    preferHugePages(bytes);
    const beyond = Number((addressOf(bytes) - BigInt(base)) % BigInt(HUGE_PAGE_BYTES));
    return (HUGE_PAGE_BYTES - beyond) % HUGE_PAGE_BYTES;
  },
};
