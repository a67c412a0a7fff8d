/** Frames as unwinding sees them, and what it needs from the guest and its symbols. */
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';
import { linearPc, linearSp, registerValue } from './registers.ts';

/** Registers of one frame, as far as they are known there. Addresses are linear. */
export interface UnwindFrame {
  /** For a caller: the return address. */
  readonly pc: bigint;
  readonly sp: bigint;
  /** Keys of CpuRegisters.values, `rip` included; for a caller only what the unwinder recovered. */
  readonly registers: ReadonlyMap<string, bigint>;
  /**
   * Where this frame's return address was found, in the frame below it: once RSP is above, the callee has
   * returned.
   */
  readonly returnSlot?: bigint;
  /** False for the frame the vCPU executes; callers are looked up one byte before `pc`, inside their call. */
  readonly isCaller: boolean;
}

/** What unwinding needs from the guest and its symbols. */
export interface UnwindContext {
  readonly cpu: CpuRegisters;
  /** `undefined` when any of it cannot be read. */
  read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined>;
  /** First address of the function around an address. */
  codeStart(address: bigint): bigint | undefined;
  /** The image whose code an address is in. */
  imageAt(address: bigint): SymbolImage | undefined;
}

export function topFrame(cpu: CpuRegisters): UnwindFrame {
  return {
    pc: linearPc(cpu),
    sp: linearSp(cpu),
    registers: new Map(Object.keys(cpu.values).map((key) => [key, registerValue(cpu, key)])),
    isCaller: false,
  };
}

/** Where to look a frame's code up: a return address may already belong to the next line or function. */
export function lookupAddress(frame: UnwindFrame): bigint {
  return frame.isCaller ? frame.pc - 1n : frame.pc;
}
