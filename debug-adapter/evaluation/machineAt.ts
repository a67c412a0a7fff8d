/**
 * The machine as seen by expressions at a frame: the registers of that frame, the session's symbols, the
 * vCPU's memory.
 */
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { frameNow } from '../session/frames.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import type { NamedRegister } from '../symbols/frames/machineRegisters.ts';
import type { Language } from '../symbols/values/literals.ts';
import { codeBits, registerAlias, registerValue } from '../target/registers.ts';
import { lookupAddress, topFrame, type UnwindFrame } from '../target/unwindFrame.ts';
import { hex } from '../target/vmTarget.ts';
import type { Machine } from './machineScope.ts';

/** Without a frame, and while the VM runs, there are no registers; symbols and memory still answer. */
export async function machineAt(
  state: SessionState,
  shown: ShownFrame | undefined,
  language?: Language,
): Promise<Machine> {
  const target = state.requireTarget();
  const cpu = shown?.cpu ?? state.currentCpu;
  const registers = target.state === 'paused' ? await target.readRegisters(cpu) : undefined;
  const caller = shown !== undefined && shown.depth > 0 ? await frameNow(state, shown) : undefined;
  return {
    language: language ?? (shown === undefined ? 'c' : await languageOf(state, shown)),
    wordBytes: registers === undefined ? 8 : codeBits(registers.mode) / 8,
    register: (name) => readRegister(name, registers, caller),
    symbol: (name) => state.symbols.addressByName(name),
    read: async (address, lengthBytes) => {
      const { data, unreadableBytes } = await target.readMemory({ address, cpu }, lengthBytes);
      if (unreadableBytes > 0) throw new UserError(USER_ERROR.memory, `no memory at ${hex(address)}`);
      return data;
    },
  };
}

async function languageOf(state: SessionState, shown: ShownFrame): Promise<Language> {
  const address = lookupAddress(await frameNow(state, shown));
  return (await state.viewOf(shown.cpu)).imageAt(address)?.languageAt(address) ?? 'c';
}

/**
 * As on the CPU: writing the low half of a register clears the high half, so that half is not part of what is
 * kept.
 */
function readRegister(
  name: string,
  registers: CpuRegisters | undefined,
  caller: UnwindFrame | undefined,
): NamedRegister | undefined {
  const alias = registerAlias(name);
  if (alias === undefined) return undefined;
  if (registers === undefined)
    throw new UserError(USER_ERROR.vmRunning, `the VM is running: pause it to see ${name}`);
  const { key: full, widthBits, shift } = alias;
  const whole = frameRegister(full, registers, caller);
  if (whole === undefined)
    throw new UserError(USER_ERROR.expression, `${name} was not saved by the functions called from here`);
  const value = BigInt.asUintN(widthBits, whole >> BigInt(shift));
  const fullValue = widthBits === 32 ? value : whole;
  return { full, value, fullValue, sizeBytes: widthBits / 8, offsetBytes: shift / 8 };
}

/** A caller's frame has what the unwinder recovered; system registers are the vCPU's in every frame. */
function frameRegister(
  key: string,
  registers: CpuRegisters,
  caller: UnwindFrame | undefined,
): bigint | undefined {
  const isSystem = /^(cr|efer|fs_|gs_|gdt|idt)/.test(key);
  const isCallers = caller !== undefined && !isSystem && topFrame(registers).registers.has(key);
  return isCallers ? caller.registers.get(key) : registerValue(registers, key);
}
