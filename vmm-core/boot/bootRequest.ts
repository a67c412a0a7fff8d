/** What is to be started, and what the machine has ready for it. Shared by the loaders of all protocols. */
import type { E820Entry } from '../abi/e820.ts';
import type { BootProtocol } from '../config/settings/boot.ts';
import type { ByteSource } from '../elf/byteSource.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import type { BootArea } from './bootArea.ts';

export interface BootRequest {
  readonly kernel: ByteSource;
  readonly initrd?: ByteSource | undefined;
  /** What a multiboot module is told beside its name. */
  readonly initrdArguments?: string | undefined;
  readonly cmdline: string;
  readonly protocol: BootProtocol;
  /** Fresh RAM, or RAM zeroed by a reset: images may rely on zeroes where nothing is loaded. */
  readonly memory: GuestMemory;
}

/** What loaders pass on to the guest: they neither make tables nor know what the machine consists of. */
export interface BootPlatform {
  /** What the image and the firmware's tables leave free. */
  readonly area: BootArea;
  /** The address of ACPI's root pointer. */
  readonly rsdp: number;
  readonly memoryMap: readonly E820Entry[];
}

/** The last component of a path, for names that the guest sees. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
