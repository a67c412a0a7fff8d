/** The kernel's command line: one NUL-terminated string at a fixed address, whatever the protocol. */
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { COMMAND_LINE, COMMAND_LINE_MAX_BYTES } from '../memory/layout.ts';
import { commandLineInvalid, commandLineTooLong } from './bootError.ts';

export interface PlacedCommandLine {
  readonly address: number;
  /** Without the NUL. */
  readonly lengthBytes: number;
}

/** `maximumBytes` is what the kernel takes, without the NUL. */
export function writeCommandLine(
  memory: GuestMemory,
  cmdline: string,
  maximumBytes = COMMAND_LINE_MAX_BYTES - 1,
): PlacedCommandLine {
  if (cmdline.includes('\0')) throw commandLineInvalid('a NUL character');
  const bytes = new TextEncoder().encode(cmdline);
  const limit = Math.min(maximumBytes, COMMAND_LINE_MAX_BYTES - 1);
  if (bytes.length > limit) throw commandLineTooLong(bytes.length, limit);
  memory.write(gpa(COMMAND_LINE), bytes);
  memory.writeU8(gpa(COMMAND_LINE + bytes.length), 0);
  return { address: COMMAND_LINE, lengthBytes: bytes.length };
}
