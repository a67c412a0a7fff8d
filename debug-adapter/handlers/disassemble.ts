/** `disassemble`: the code around an address, a page of the Disassembly view. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { RequestCall } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { Pace } from '../pace.ts';
import { disassembleAt } from '../rows/instructionRows.ts';
import type { SessionState } from '../session/sessionState.ts';
import { parseMemoryReference } from '../target/memoryReference.ts';
import { hex } from '../target/vmTarget.ts';

/** Shown at once. */
const MAX_INSTRUCTIONS = 10_000;
/** All code on the way there is decoded. */
const MAX_OFFSET = 100_000;

export async function disassemble(
  state: SessionState,
  args: DebugProtocol.DisassembleArguments,
  call: RequestCall,
): Promise<{ instructions: DebugProtocol.DisassembledInstruction[] }> {
  const at = parseMemoryReference(args.memoryReference, args.offset ?? 0);
  if (at.physical === true)
    throw new UserError(USER_ERROR.badReference, 'disassembly needs a linear address, not a physical one');
  const { instructionCount: count, instructionOffset = 0 } = args;
  if (count > MAX_INSTRUCTIONS)
    throw tooMuch(`${count} instructions: at most ${MAX_INSTRUCTIONS} can be asked for at once`);
  if (Math.abs(instructionOffset) > MAX_OFFSET)
    throw tooMuch(
      `${instructionOffset} instructions from ${hex(at.address)}: at most ${MAX_OFFSET} can be passed over, name a nearer address`,
    );
  const pace = new Pace(call.signal);
  const from = { cpu: at.cpu ?? state.currentCpu, address: at.address, instructionOffset };
  return { instructions: await disassembleAt(state, from, count, pace) };
}

function tooMuch(what: string): UserError {
  return new UserError(USER_ERROR.limit, `disassemble: ${what}`);
}
