/**
 * Power-on state of a vCPU, in the order KVM wants it: CPUID, MSRs, registers, FPU, system registers, LAPIC.
 * Main thread, before the vCPU's thread is told to run.
 */
import { APIC_MODE_EXTINT, APIC_MODE_NMI, LocalApicPage } from '../abi/localApic.ts';
import { MSR, MSR_IA32_MISC_ENABLE_FAST_STRING, MTRR_ENABLE_WRITE_BACK } from '../abi/msr.ts';
import { type GeneralRegisters, RFLAGS_RESERVED1 } from '../abi/x86.ts';
import type { BootState } from '../boot/bootState.ts';
import type { CpuidEntry } from '../kvm/kvm.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { guestCpuid } from './cpuid.ts';

/**
 * What firmware sets on a PC. All others are as KVM creates them, or as a reset restored them (machine.ts).
 */
const FIRMWARE_MSRS = [
  { index: MSR.IA32_MISC_ENABLE, data: MSR_IA32_MISC_ENABLE_FAST_STRING },
  { index: MSR.MTRRdefType, data: MTRR_ENABLE_WRITE_BACK },
];

const FPU_POWER_ON = { fcw: 0x37f, mxcsr: 0x1f80 };

/** Once per vCPU: CPUID. */
export function setupVcpu(vcpu: KvmVcpu, supported: readonly CpuidEntry[], cpus: number): void {
  vcpu.setCpuid(guestCpuid(supported, vcpu.index, cpus));
}

/** After setupVcpu, and again after a reset. Only vCPU 0 gets `boot`; the others wait for INIT and SIPI. */
export function powerOnVcpu(vcpu: KvmVcpu, boot: BootState | undefined): void {
  vcpu.writeMsrs(FIRMWARE_MSRS);
  vcpu.writeFpu(FPU_POWER_ON);
  wireLocalInterrupts(vcpu);
  if (boot === undefined) return;
  vcpu.writeGeneral({ ...ZERO_REGISTERS, rflags: RFLAGS_RESERVED1, ...boot.regs });
  vcpu.writeSystem(boot.sregs);
}

/** BIOSes leave LINT0 as ExtINT (the PIC) and LINT1 as NMI. */
function wireLocalInterrupts(vcpu: KvmVcpu): void {
  const page = vcpu.readLapic();
  LocalApicPage.write(new DataView(page.buffer), { lvt_lint0: APIC_MODE_EXTINT, lvt_lint1: APIC_MODE_NMI });
  vcpu.writeLapic(page);
}

const ZERO_REGISTERS: GeneralRegisters = {
  rax: 0n,
  rbx: 0n,
  rcx: 0n,
  rdx: 0n,
  rsi: 0n,
  rdi: 0n,
  rsp: 0n,
  rbp: 0n,
  r8: 0n,
  r9: 0n,
  r10: 0n,
  r11: 0n,
  r12: 0n,
  r13: 0n,
  r14: 0n,
  r15: 0n,
  rip: 0n,
  rflags: 0n,
};
