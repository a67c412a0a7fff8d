/** The kernel's command line: one NUL-terminated string, whatever the protocol. */
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { COMMAND_LINE, COMMAND_LINE_MAX_BYTES } from '../memory/layout.ts';
import type { BootArea } from './bootArea.ts';
import { commandLineInvalid, commandLineTooLong } from './bootError.ts';

/** Without the NUL; `maximumBytes` is what the kernel takes, so counted. Throws BootError. */
export function encodeCommandLine(cmdline: string, maximumBytes = COMMAND_LINE_MAX_BYTES - 1): Uint8Array {
  if (cmdline.includes('\0')) throw commandLineInvalid('a NUL character');
  const bytes = new TextEncoder().encode(cmdline);
  const limit = Math.min(maximumBytes, COMMAND_LINE_MAX_BYTES - 1);
  if (bytes.length > limit) throw commandLineTooLong(bytes.length, limit);
  return bytes;
}

/** Returns its address. */
export function writeCommandLine(memory: GuestMemory, area: BootArea, bytes: Uint8Array): number {
  const address = area.place(COMMAND_LINE, bytes.length + 1);
  memory.write(gpa(address), bytes);
  memory.writeU8(gpa(address + bytes.length), 0);
  return address;
}
