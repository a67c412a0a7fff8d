/**
 * DAP memory references are opaque strings that come back from the editor. Ours: `0x…` linear in the address
 * space of the vCPU that stopped last, `cpu2:0x…` linear in that of vCPU 2, `phys:0x…` guest-physical.
 */
import { USER_ERROR, UserError } from '../errors.ts';
import type { GuestAddress } from './vmTarget.ts';

const REFERENCE = /^(?:(phys):|cpu(\d{1,3}):)?(0x[0-9a-f]{1,16}|\d{1,20})$/i;

/** `offsetBytes` is added, wrapping at 2^64. Throws UserError. */
export function parseMemoryReference(text: string, offsetBytes = 0): GuestAddress {
  const match = REFERENCE.exec(text.trim());
  const [, physical, cpu, digits] = match ?? [];
  if (digits === undefined) {
    throw new UserError(
      USER_ERROR.badReference,
      `"${text}" is not a memory reference: write 0x…, phys:0x… or cpu1:0x…`,
    );
  }
  const address = BigInt.asUintN(64, BigInt(digits) + BigInt(offsetBytes));
  if (physical !== undefined) return { address, physical: true };
  return cpu === undefined ? { address } : { address, cpu: Number(cpu) };
}
