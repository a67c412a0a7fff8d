/**
 * Model-specific registers that KVM keeps for each vCPU, spelled as <asm/msr-index.h>, <asm/mtrr.h> and
 * <asm/kvm_para.h> spell them, in the order of their numbers. SDM volume 4, APM volume 2 appendix A. Values
 * only.
 */

export const MSR = {
  IA32_TSC: 0x10,
  KVM_WALL_CLOCK: 0x11, // the same register as KVM_WALL_CLOCK_NEW
  KVM_SYSTEM_TIME: 0x12, // the same register as KVM_SYSTEM_TIME_NEW
  SMI_COUNT: 0x34,
  IA32_FEAT_CTL: 0x3a,
  IA32_TSC_ADJUST: 0x3b,
  IA32_SPEC_CTRL: 0x48,
  IA32_UCODE_REV: 0x8b,
  IA32_SMBASE: 0x9e,
  PLATFORM_INFO: 0xce,
  IA32_UMWAIT_CONTROL: 0xe1,
  IA32_ARCH_CAPABILITIES: 0x10a,
  IA32_TSX_CTRL: 0x122,
  MISC_FEATURES_ENABLES: 0x140,
  IA32_SYSENTER_CS: 0x174,
  IA32_SYSENTER_ESP: 0x175,
  IA32_SYSENTER_EIP: 0x176,
  IA32_MCG_STATUS: 0x17a,
  IA32_MCG_CTL: 0x17b,
  IA32_MISC_ENABLE: 0x1a0,
  IA32_XFD: 0x1c4,
  IA32_XFD_ERR: 0x1c5,
  IA32_DEBUGCTLMSR: 0x1d9,
  IA32_LASTBRANCHFROMIP: 0x1db,
  IA32_LASTBRANCHTOIP: 0x1dc,
  IA32_LASTINTFROMIP: 0x1dd,
  IA32_LASTINTTOIP: 0x1de,
  IA32_POWER_CTL: 0x1fc,
  MTRRfix64K_00000: 0x250,
  MTRRfix16K_80000: 0x258,
  MTRRfix16K_A0000: 0x259,
  MTRRfix4K_C0000: 0x268,
  MTRRfix4K_C8000: 0x269,
  MTRRfix4K_D0000: 0x26a,
  MTRRfix4K_D8000: 0x26b,
  MTRRfix4K_E0000: 0x26c,
  MTRRfix4K_E8000: 0x26d,
  MTRRfix4K_F0000: 0x26e,
  MTRRfix4K_F8000: 0x26f,
  IA32_CR_PAT: 0x277,
  MTRRdefType: 0x2ff,
  IA32_PERF_CAPABILITIES: 0x345,
  IA32_U_CET: 0x6a0,
  IA32_S_CET: 0x6a2,
  IA32_PL0_SSP: 0x6a4,
  IA32_PL1_SSP: 0x6a5,
  IA32_PL2_SSP: 0x6a6,
  IA32_PL3_SSP: 0x6a7,
  IA32_INT_SSP_TAB: 0x6a8,
  IA32_TSC_DEADLINE: 0x6e0,
  IA32_BNDCFGS: 0xd90,
  IA32_XSS: 0xda0,
  KVM_WALL_CLOCK_NEW: 0x4b564d00,
  KVM_SYSTEM_TIME_NEW: 0x4b564d01,
  KVM_ASYNC_PF_EN: 0x4b564d02,
  KVM_STEAL_TIME: 0x4b564d03,
  KVM_PV_EOI_EN: 0x4b564d04,
  KVM_POLL_CONTROL: 0x4b564d05,
  KVM_ASYNC_PF_INT: 0x4b564d06,
  KVM_ASYNC_PF_ACK: 0x4b564d07,
  KVM_MIGRATION_CONTROL: 0x4b564d08,
  STAR: 0xc0000081,
  LSTAR: 0xc0000082,
  CSTAR: 0xc0000083,
  SYSCALL_MASK: 0xc0000084,
  KERNEL_GS_BASE: 0xc0000102,
  TSC_AUX: 0xc0000103,
  AMD64_TSC_RATIO: 0xc0000104,
  K7_HWCR: 0xc0010015,
  VM_HSAVE_PA: 0xc0010117,
  AMD64_VIRT_SPEC_CTRL: 0xc001011f,
  AMD64_DE_CFG: 0xc0011029,
} as const;

export const MSR_IA32_MISC_ENABLE_FAST_STRING = 1n;
export const MTRR_ENABLE_WRITE_BACK = 0x806n; // MTRRdefType: E | type 6

/** Variable-range MTRRs, SDM 3A §12.11.2.3: pairs of base and mask; KVM's vCPUs have eight. */
export const MTRR_PHYS_BASE_0 = 0x200;
export const KVM_NR_VAR_MTRR = 8;

/** Machine-check banks, SDM 3B §16.3.2: CTL, STATUS, ADDR and MISC of each; KVM's vCPUs have 32. */
export const MSR_IA32_MC0_CTL = 0x400;
export const KVM_MAX_MCE_BANKS = 32;

/** The range of Hyper-V's synthetic MSRs, <asm/hyperv-tlfs.h>. */
export const HV_X64_MSR_FIRST = 0x40000000;
export const HV_X64_MSR_LAST = 0x400001ff;
