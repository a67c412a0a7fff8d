/**
 * What a configuration's own rules cannot know: how much memory this host and process have, and KVM's limits.
 */
import { freemem, totalmem } from 'node:os';
import { KVM_CAP } from '../abi/kvm.ts';
import { formatSize } from '../config/size.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { UserError } from '../errors.ts';
import { HUGE_PAGES } from '../kvm/hugePages.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { log } from '../log.ts';
import { allocateGuestMemory, type GuestMemory } from '../memory/guestMemory.ts';
import { ramRanges } from '../memory/layout.ts';

/** Throws UserError. */
export function checkHost(config: VmConfig, kvm: Kvm): void {
  if (config.memoryBytes > totalmem()) {
    throw new UserError(
      `memory: ${formatSize(config.memoryBytes)} is more than this host has (${formatSize(totalmem())}): ask for less`,
    );
  }
  if (config.memoryBytes > freemem()) {
    log.warn('machine', 'guest memory exceeds the free memory of the host', { free: formatSize(freemem()) });
  }
  const maxCpus = kvm.checkExtension(KVM_CAP.MAX_VCPUS) || 1;
  if (config.cpus > maxCpus) {
    throw new UserError(
      `cpus: ${config.cpus} is more than this host's KVM supports (${maxCpus}): ask for fewer`,
    );
  }
}

/** Throws UserError. */
export function reserveMemory(memoryBytes: number): GuestMemory {
  try {
    return allocateGuestMemory(ramRanges(memoryBytes), HUGE_PAGES);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UserError(
      `memory: this process cannot reserve ${formatSize(memoryBytes)}: ask for less, or raise its limit (ulimit -v unlimited)`,
      { cause },
    );
  }
}
