/**
 * Power-on state of a vCPU, in the order KVM wants it: CPUID, MSRs, registers, FPU, system registers, LAPIC. Main thread, before
 * the vCPU's thread is told to run.
 */
import { APIC_MODE_EXTINT, APIC_MODE_NMI, LocalApicPage } from '../abi/localApic.ts';
import { MSR, MSR_IA32_MISC_ENABLE_FAST_STRING, MTRR_ENABLE_WRITE_BACK } from '../abi/msr.ts';
import { type GeneralRegisters, RFLAGS_RESERVED1 } from '../abi/x86.ts';
import type { BootState } from '../boot/bootState.ts';
import type { CpuidEntry } from '../kvm/kvm.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { guestCpuid } from './cpuid.ts';

/** MSRs at power-on. kvmclock's two are zero so that a reset guest's old clock page is no longer written. */
const POWER_ON_MSRS = [
  { index: MSR.IA32_SYSENTER_CS, data: 0n },
  { index: MSR.IA32_SYSENTER_ESP, data: 0n },
  { index: MSR.IA32_SYSENTER_EIP, data: 0n },
  { index: MSR.STAR, data: 0n },
  { index: MSR.LSTAR, data: 0n },
  { index: MSR.CSTAR, data: 0n },
  { index: MSR.SYSCALL_MASK, data: 0n },
  { index: MSR.KERNEL_GS_BASE, data: 0n },
  { index: MSR.IA32_MISC_ENABLE, data: MSR_IA32_MISC_ENABLE_FAST_STRING },
  { index: MSR.MTRRdefType, data: MTRR_ENABLE_WRITE_BACK },
  { index: MSR.KVM_WALL_CLOCK_NEW, data: 0n },
  { index: MSR.KVM_SYSTEM_TIME_NEW, data: 0n },
];

const FPU_POWER_ON = { fcw: 0x37f, mxcsr: 0x1f80 };

/** Once per vCPU: CPUID. */
export function setupVcpu(vcpu: KvmVcpu, supported: readonly CpuidEntry[], cpus: number): void {
  vcpu.setCpuid(guestCpuid(supported, vcpu.index, cpus));
}

/** After setupVcpu, and again after a reset. Only vCPU 0 gets `boot`; the others wait for INIT and SIPI. */
export function powerOnVcpu(vcpu: KvmVcpu, boot: BootState | undefined): void {
  vcpu.writeMsrs(POWER_ON_MSRS);
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
