/**
 * What every boot protocol produces: the image is in guest RAM, and vCPU 0 starts with these registers.
 * Applied by vcpu/.
 */
import type { GeneralRegisters, SystemRegisters } from '../abi/x86.ts';

export interface StartState {
  /** Registers not named are zero. */
  readonly regs: Partial<GeneralRegisters>;
  readonly sregs: SystemRegisters;
  /** Where the guest starts, for stopOnEntry and messages (linear address). */
  readonly entry: bigint;
}

export interface BootState extends StartState {
  /** The protocol that was used, in the user's words: `multiboot`, `linux64`, `bzImage`, `PVH`, `flat`. */
  readonly protocol: string;
}
