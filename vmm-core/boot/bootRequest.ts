/** What is to be started. Shared by the loaders of all protocols. */
import type { BootProtocol } from '../config/settings/boot.ts';
import type { ByteSource } from '../elf/byteSource.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';

export interface BootRequest {
  readonly kernel: ByteSource;
  readonly initrd?: ByteSource | undefined;
  /** What a multiboot module is told beside its name. */
  readonly initrdArguments?: string | undefined;
  readonly cmdline: string;
  readonly protocol: BootProtocol;
  readonly cpus: number;
  /** Fresh RAM, or RAM zeroed by a reset: images may rely on zeroes where nothing is loaded. */
  readonly memory: GuestMemory;
}

/** The last component of a path, for names that the guest sees. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
