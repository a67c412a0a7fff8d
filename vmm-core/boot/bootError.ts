/**
 * Everything that can be wrong with a kernel, an initrd or a command line. Blame: user. Each message is one
 * sentence: what is wrong, where, what to do. The CLI prints it, the debug adapter shows it; tests and
 * clients tell errors apart by `code`.
 */
import { GIB, HOLE_BASE, HOLE_END, MIB } from '../memory/layout.ts';

export type BootErrorCode =
  | 'imageEmpty'
  | 'imageUnknown'
  | 'imageDamaged'
  | 'imageUnsupported'
  | 'wrongArchitecture'
  | 'wrongProtocol'
  | 'needsMemory'
  | 'addressTaken'
  | 'addressNotPhysical'
  | 'badEntry'
  | 'initrdEmpty'
  | 'initrdTooLarge'
  | 'commandLineInvalid'
  | 'commandLineTooLong';

const ADDRESS_CURE =
  'give its segments physical addresses from 0x100000 (1 MiB) up to 0xc0000000 (3 GiB), by AT() in the ' +
  'linker script';

export class BootError extends Error {
  override readonly name = 'BootError';
  readonly blame = 'user';
  readonly code: BootErrorCode;

  constructor(code: BootErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function imageEmpty(image: string): BootError {
  return new BootError('imageEmpty', `kernel image ${image} is empty: build it again`);
}

export function imageUnknown(image: string): BootError {
  const looked = 'no bzImage header, ELF header or multiboot header in its first 8 KiB';
  return new BootError(
    'imageUnknown',
    `kernel image ${image} is of an unknown kind (${looked}): give another file, or set protocol to ` +
      '"flat" if it is raw code',
  );
}

export function imageDamaged(image: string, detail: string, cause?: unknown): BootError {
  return new BootError(
    'imageDamaged',
    `kernel image ${image} is damaged or cut short (${detail}): build or copy it again`,
    { cause },
  );
}

/** `what` names the feature, `cure` says what to do instead. */
export function imageUnsupported(image: string, what: string, cure: string): BootError {
  return new BootError('imageUnsupported', `kernel image ${image} ${what}: ${cure}`);
}

export function wrongArchitecture(image: string, machine: string): BootError {
  return new BootError(
    'wrongArchitecture',
    `kernel image ${image} is built for ${machine}, this VM is x86-64: build it for x86-64`,
  );
}

export function wrongProtocol(image: string, protocol: string, missing: string): BootError {
  return new BootError(
    'wrongProtocol',
    `kernel image ${image} cannot be started by protocol "${protocol}" (${missing}): set protocol to ` +
      '"auto", or build the image for it',
  );
}

/** `end` is the first guest-physical address after what has to fit. */
export function needsMemory(what: string, end: number, memoryBytes: number): BootError {
  const neededBytes = end > HOLE_BASE ? end - (HOLE_END - HOLE_BASE) : end;
  return new BootError(
    'needsMemory',
    `${what} needs ${mebibytes(neededBytes)} of guest memory, the VM has ${mebibytes(memoryBytes)}: ` +
      'raise memory',
  );
}

/** A size that no amount of memory satisfies: the image says so of itself, and it is wrong or hostile. */
export function claimsTooMuch(image: string, address: number, sizeBytes: number): BootError {
  return new BootError(
    'imageUnsupported',
    `kernel image ${image} claims ${mebibytes(sizeBytes)} from ${hex(address)} on while it starts ` +
      '(pref_address and init_size in its header), which end above 0xc0000000 (3 GiB), where devices ' +
      'are: build it again',
  );
}

/** `start` and `end` bound where it had to be. */
export function noRoomForBootData(image: string, sizeBytes: number, start: number, end: number): BootError {
  return new BootError(
    'addressTaken',
    `kernel image ${image} fills memory at ${hex(start)}..${hex(end)} and leaves no ${sizeBytes} bytes ` +
      `there for the VM's boot data: ${ADDRESS_CURE}`,
  );
}

/** `reason` is what its header says. */
export function needsRealMode(image: string, reason: string): BootError {
  return new BootError(
    'imageUnsupported',
    `kernel image ${image} needs its 16-bit real-mode part and the BIOS which that calls (${reason}), ` +
      'and this VM has no BIOS: give one with a 32-bit entry point, such as a bzImage of Linux 2.4 or ' +
      'later, or an ELF',
  );
}

export function needsBios(image: string): BootError {
  return new BootError(
    'imageUnsupported',
    `kernel image ${image} is a BIOS boot sector or a disk image, and this VM has no BIOS: give the ` +
      'kernel itself, or set protocol to "flat" if it is real-mode code that calls no BIOS',
  );
}

export function argumentsUnsupported(initrd: string, given: string, protocol: string): BootError {
  return new BootError(
    'imageUnsupported',
    `initrd ${initrd} has arguments ("${given}"), which a kernel started by ${protocol} cannot be ` +
      'told: remove them, or put them into cmdline',
  );
}

export function addressTaken(image: string, start: number, end: number, owner: string): BootError {
  return new BootError(
    'addressTaken',
    `kernel image ${image} wants to be loaded at ${hex(start)}..${hex(end)}, which overlaps ${owner}: ` +
      `${ADDRESS_CURE}`,
  );
}

/** Typical of a higher-half kernel whose linker script names no load addresses. */
export function addressNotPhysical(image: string, address: number): BootError {
  return new BootError(
    'addressNotPhysical',
    `kernel image ${image} wants to be loaded at ${hex(address)}, which is not a physical address: ` +
      `${ADDRESS_CURE}`,
  );
}

export function badEntry(image: string, entry: bigint | number): BootError {
  return new BootError(
    'badEntry',
    `entry point ${hex(entry)} of kernel image ${image} is in none of its loaded parts: set it in the ` +
      'linker script (ENTRY) to a physical address below 4 GiB',
  );
}

export function initrdEmpty(initrd: string): BootError {
  return new BootError('initrdEmpty', `initrd ${initrd} is empty: build it again, or leave initrd out`);
}

export function initrdTooLarge(initrd: string, sizeBytes: number, limit: number): BootError {
  return new BootError(
    'initrdTooLarge',
    `initrd ${initrd} of ${mebibytes(sizeBytes)} does not fit below ${hex(limit)}, the highest address ` +
      'the kernel allows: use a smaller one',
  );
}

export function commandLineInvalid(detail: string): BootError {
  return new BootError('commandLineInvalid', `command line contains ${detail}: remove it`);
}

export function commandLineTooLong(lengthBytes: number, maximumBytes: number): BootError {
  return new BootError(
    'commandLineTooLong',
    `command line of ${lengthBytes} bytes is too long, the kernel takes ${maximumBytes} at most: shorten it`,
  );
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** Whole mebibytes, rounded up: a VM of that size is large enough. */
function mebibytes(bytes: number): string {
  if (bytes < GIB * 1024) return `${Math.ceil(bytes / MIB)} MiB`;
  return `${Math.ceil(bytes / GIB)} GiB`;
}
