/**
 * The KVM API's numbers and layouts, spelled as <linux/kvm.h> and <asm/kvm.h> (x86) spell them.
 * Documentation/virt/kvm/api.rst. Values only. test/abi compares every size, offset and number with a C
 * program compiled from the kernel's headers.
 */
import { struct, u16, u32, u64, u8 } from './struct.ts';

export const KVM_API_VERSION = 12;

// Structures in the order of the headers.

export const KvmUserspaceMemoryRegion = struct('kvm_userspace_memory_region', 32, {
  slot: u32(0),
  flags: u32(4),
  guest_phys_addr: u64(8),
  memory_size: u64(16),
  userspace_addr: u64(24),
});

export const KvmRegs = struct('kvm_regs', 144, {
  rax: u64(0),
  rbx: u64(8),
  rcx: u64(16),
  rdx: u64(24),
  rsi: u64(32),
  rdi: u64(40),
  rsp: u64(48),
  rbp: u64(56),
  r8: u64(64),
  r9: u64(72),
  r10: u64(80),
  r11: u64(88),
  r12: u64(96),
  r13: u64(104),
  r14: u64(112),
  r15: u64(120),
  rip: u64(128),
  rflags: u64(136),
});

export const KvmSegment = struct('kvm_segment', 24, {
  base: u64(0),
  limit: u32(8),
  selector: u16(12),
  type: u8(14),
  present: u8(15),
  dpl: u8(16),
  db: u8(17),
  s: u8(18),
  l: u8(19),
  g: u8(20),
  avl: u8(21),
  unusable: u8(22),
});

export const KvmDtable = struct('kvm_dtable', 16, { base: u64(0), limit: u16(8) });

/** Offsets of the nested segments and tables; the scalars are fields. */
export const KVM_SREGS_SEGMENTS = {
  cs: 0,
  ds: 24,
  es: 48,
  fs: 72,
  gs: 96,
  ss: 120,
  tr: 144,
  ldt: 168,
} as const;
export const KVM_SREGS_TABLES = { gdt: 192, idt: 208 } as const;
export const KvmSregs = struct('kvm_sregs', 312, {
  cr0: u64(224),
  cr2: u64(232),
  cr3: u64(240),
  cr4: u64(248),
  cr8: u64(256),
  efer: u64(264),
  apic_base: u64(272),
});

/**
 * Like kvm_sregs up to apic_base; the interrupt is in kvm_vcpu_events, the PDPTRs need not be read from
 * guest memory.
 */
export const KvmSregs2 = struct('kvm_sregs2', 320, {
  ...KvmSregs.fields,
  flags: u64(280),
  pdptrs0: u64(288),
  pdptrs1: u64(296),
  pdptrs2: u64(304),
  pdptrs3: u64(312),
});

export const KvmFpu = struct('kvm_fpu', 416, { fcw: u16(128), mxcsr: u32(408) });

export const KvmMsrEntry = struct('kvm_msr_entry', 16, { index: u32(0), data: u64(8) });
export const KvmMsrs = struct('kvm_msrs', 8, { nmsrs: u32(0) }); // entries follow
export const KvmMsrList = struct('kvm_msr_list', 4, { nmsrs: u32(0) }); // indices follow

export const KvmCpuidEntry2 = struct('kvm_cpuid_entry2', 40, {
  function: u32(0),
  index: u32(4),
  flags: u32(8),
  eax: u32(12),
  ebx: u32(16),
  ecx: u32(20),
  edx: u32(24),
});
export const KvmCpuid2 = struct('kvm_cpuid2', 8, { nent: u32(0) }); // entries follow
export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1; // spelled so in the header

export const KvmIrqLevel = struct('kvm_irq_level', 8, { irq: u32(0), level: u32(4) });
// KVM_IOEVENTFD, KVM_IRQFD, KVM_SIGNAL_MSI
export const KvmIoeventfd = struct('kvm_ioeventfd', 64, {
  datamatch: u64(0),
  addr: u64(8),
  len: u32(16),
  fd: u32(20),
  flags: u32(24),
});
export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1 << 0;
export const KVM_IOEVENTFD_FLAG_PIO = 1 << 1;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 1 << 2;
export const KvmIrqfd = struct('kvm_irqfd', 32, { fd: u32(0), gsi: u32(4), flags: u32(8) });
export const KvmMsi = struct('kvm_msi', 32, {
  address_lo: u32(0),
  address_hi: u32(4),
  data: u32(8),
  flags: u32(12),
});
export const KvmIrqchip = struct('kvm_irqchip', 520, {
  chip_id: u32(0),
  pic_elcr: u8(22), // of the PICs: which of its interrupts are levels
});
export const KVM_IRQCHIP_PIC_MASTER = 0;
export const KVM_IRQCHIP_PIC_SLAVE = 1;
export const KVM_IRQCHIP_IOAPIC = 2;
/** The union of what the chips have. */
export const KVM_IRQCHIPS = { chip: 8 } as const;
export const KvmPicState = struct('kvm_pic_state', 16, {
  last_irr: u8(0),
  irr: u8(1),
  imr: u8(2),
  isr: u8(3),
  irq_base: u8(5),
  init_state: u8(9),
  auto_eoi: u8(10),
  elcr: u8(14),
});
export const KVM_IOAPIC_NUM_PINS = 24;
export const KvmIoapicState = struct('kvm_ioapic_state', 216, {
  base_address: u64(0),
  ioregsel: u32(8),
  id: u32(12),
  irr: u32(16),
});
/** A u64 for each pin. */
export const KVM_IOAPICS = { redirtbl: 24 } as const;
export const KvmPitChannelState = struct('kvm_pit_channel_state', 24, {
  count: u32(0),
  mode: u8(13),
  bcd: u8(14),
  gate: u8(15),
});
export const KvmPitConfig = struct('kvm_pit_config', 64, { flags: u32(0) });
export const KVM_PIT_SPEAKER_DUMMY = 1; // port 0x61 stays in the kernel
export const KvmPitState2 = struct('kvm_pit_state2', 112, { flags: u32(72) });
export const KvmLapicState = struct('kvm_lapic_state', 1024, {});
export const KvmClockData = struct('kvm_clock_data', 48, { clock: u64(0), flags: u32(8) });

export const KvmMpState = struct('kvm_mp_state', 4, { mp_state: u32(0) });
export const KVM_MP_STATE_RUNNABLE = 0;
export const KVM_MP_STATE_UNINITIALIZED = 1;
export const KVM_MP_STATE_INIT_RECEIVED = 2;
export const KVM_MP_STATE_HALTED = 3;
export const KVM_MP_STATE_SIPI_RECEIVED = 4;

export const KvmVcpuEvents = struct('kvm_vcpu_events', 64, {
  exception_injected: u8(0),
  exception_nr: u8(1),
  exception_has_error_code: u8(2),
  exception_pending: u8(3),
  exception_error_code: u32(4),
  interrupt_injected: u8(8),
  interrupt_nr: u8(9),
  interrupt_soft: u8(10),
  interrupt_shadow: u8(11),
  nmi_injected: u8(12),
  nmi_pending: u8(13),
  nmi_masked: u8(14),
  sipi_vector: u32(16),
  flags: u32(20),
  smi_smm: u8(24),
  smi_pending: u8(25),
  smi_smm_inside_nmi: u8(26),
  smi_latched_init: u8(27),
  triple_fault_pending: u8(28),
  exception_has_payload: u8(55),
  exception_payload: u64(56),
});
export const KVM_VCPUEVENT_VALID_NMI_PENDING = 0x1;
export const KVM_VCPUEVENT_VALID_SIPI_VECTOR = 0x2;
export const KVM_VCPUEVENT_VALID_SHADOW = 0x4;

export const KvmDebugregs = struct('kvm_debugregs', 128, {
  db0: u64(0),
  db1: u64(8),
  db2: u64(16),
  db3: u64(24),
  dr6: u64(32),
  dr7: u64(40),
  flags: u64(48),
});

/**
 * The XSAVE area (abi/xsave.ts); KVM_GET_XSAVE2 returns as many bytes as KVM_CAP_XSAVE2 says, at least these.
 */
export const KvmXsave = struct('kvm_xsave', 4096, {});

export const KvmXcr = struct('kvm_xcr', 16, { xcr: u32(0), value: u64(8) });
export const KvmXcrs = struct('kvm_xcrs', 392, { nr_xcrs: u32(0), flags: u32(4) }); // up to 16 kvm_xcr follow
export const KVM_XCRS = { xcrs: 8 } as const;

/** `addr` is where the value is or goes. */
export const KvmOneReg = struct('kvm_one_reg', 16, { id: u64(0), addr: u64(8) });
export const KvmRegList = struct('kvm_reg_list', 8, { n: u64(0) }); // ids follow
/** The id's parts on x86, since Linux 6.18: architecture and 64 bits, the kind of register, its index. */
export const KVM_REG_X86 = 0x2000000000000000n;
export const KVM_REG_SIZE_U64 = 0x0030000000000000n;
export const KVM_X86_REG_TYPE_MSR = 2;
export const KVM_X86_REG_TYPE_KVM = 3;
export const KVM_REG_GUEST_SSP = 0;

/** The header; vmcs12 or vmcb12 follow. */
export const KvmNestedState = struct('kvm_nested_state', 128, {
  flags: u16(0),
  format: u16(2),
  size: u32(4),
});

export const KvmGuestDebug = struct('kvm_guest_debug', 72, {
  control: u32(0),
  debugreg0: u64(8),
  debugreg1: u64(16),
  debugreg2: u64(24),
  debugreg3: u64(32),
  debugreg6: u64(56),
  debugreg7: u64(64),
});
export const KVM_GUESTDBG_ENABLE = 0x1;
export const KVM_GUESTDBG_SINGLESTEP = 0x2;
export const KVM_GUESTDBG_USE_SW_BP = 0x10000;
export const KVM_GUESTDBG_USE_HW_BP = 0x20000;
export const KVM_GUESTDBG_INJECT_DB = 0x40000;
export const KVM_GUESTDBG_INJECT_BP = 0x80000;
export const KVM_GUESTDBG_BLOCKIRQ = 0x100000;

/** struct kvm_run, the page shared with the kernel: the fixed head and the unions of the exits we handle. */
export const KvmRunHead = struct('kvm_run', 2352, {
  request_interrupt_window: u8(0),
  immediate_exit: u8(1),
  exit_reason: u32(8),
  ready_for_interrupt_injection: u8(12),
  if_flag: u8(13),
  flags: u16(14),
  cr8: u64(16),
  apic_base: u64(24),
  kvm_valid_regs: u64(288),
  kvm_dirty_regs: u64(296),
});
/**
 * Offsets inside kvm_run of each exit's union members (all unions start at 0x20) and of the register mirror.
 */
export const KVM_RUN = {
  immediate_exit: 0x01,
  exit_reason: 0x08,
  io_direction: 0x20, // u8
  io_size: 0x21, // u8
  io_port: 0x22, // u16
  io_count: 0x24, // u32
  io_data_offset: 0x28, // u64, from the start of kvm_run
  mmio_phys_addr: 0x20, // u64
  mmio_data: 0x28, // 8 bytes
  mmio_len: 0x30, // u32
  mmio_is_write: 0x34, // u8
  debug_exception: 0x20, // u32
  debug_pc: 0x28, // u64
  debug_dr6: 0x30, // u64
  debug_dr7: 0x38, // u64
  fail_entry_hardware_entry_failure_reason: 0x20, // u64
  internal_suberror: 0x20, // u32
  emulation_flags: 0x28, // u64, KVM_INTERNAL_ERROR_EMULATION_FLAG_*
  emulation_insn_size: 0x30, // u8
  emulation_insn_bytes: 0x31, // 15 bytes
  system_event_type: 0x20, // u32
  kvm_valid_regs: 0x120,
  kvm_dirty_regs: 0x128,
  s_regs: 0x130, // struct kvm_regs
  s_sregs: 0x130 + 144, // struct kvm_sregs
  s_events: 0x130 + 144 + 312, // struct kvm_vcpu_events
} as const;

export const KVM_SYNC_X86_REGS = 1;
export const KVM_SYNC_X86_SREGS = 2;
export const KVM_SYNC_X86_EVENTS = 4;

export const KVM_EXIT_IO_IN = 0;
export const KVM_EXIT_IO_OUT = 1;
export const KVM_INTERNAL_ERROR_EMULATION = 1;
export const KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1;

/** Reasons in kvm_run.exit_reason. */
export const KVM_EXIT = {
  UNKNOWN: 0,
  EXCEPTION: 1,
  IO: 2,
  HYPERCALL: 3,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  TPR_ACCESS: 12,
  NMI: 16,
  INTERNAL_ERROR: 17,
  SYSTEM_EVENT: 24,
  IOAPIC_EOI: 26,
  HYPERV: 27,
  X86_RDMSR: 29,
  X86_WRMSR: 30,
  X86_BUS_LOCK: 33,
  NOTIFY: 37,
  MEMORY_FAULT: 39,
} as const;

export const KVM_SYSTEM_EVENT_SHUTDOWN = 1;
export const KVM_SYSTEM_EVENT_RESET = 2;
export const KVM_SYSTEM_EVENT_CRASH = 3;

/** Capabilities for KVM_CHECK_EXTENSION. */
export const KVM_CAP = {
  IRQCHIP: 0,
  USER_MEMORY: 3,
  SET_TSS_ADDR: 4,
  EXT_CPUID: 7,
  NR_VCPUS: 9,
  NR_MEMSLOTS: 10,
  MP_STATE: 14,
  SET_GUEST_DEBUG: 23,
  IRQFD: 32,
  PIT2: 33,
  IOEVENTFD: 36,
  SET_IDENTITY_MAP_ADDR: 37,
  ADJUST_CLOCK: 39,
  VCPU_EVENTS: 41,
  DEBUGREGS: 50,
  XSAVE: 55,
  XCRS: 56,
  GET_TSC_KHZ: 61,
  MAX_VCPUS: 66,
  ONE_REG: 70,
  SYNC_REGS: 74,
  KVMCLOCK_CTRL: 76,
  READONLY_MEM: 81,
  IMMEDIATE_EXIT: 136,
  NESTED_STATE: 157,
  SET_GUEST_DEBUG2: 195,
  SREGS2: 200,
  XSAVE2: 208,
} as const;

const KVMIO = 0xae;
const IOC_WRITE = 1;
const IOC_READ = 2;
const ioc = (direction: number, nr: number, sizeBytes: number): number =>
  ((direction << 30) | (sizeBytes << 16) | (KVMIO << 8) | nr) >>> 0;
const io = (nr: number): number => ioc(0, nr, 0);
const iow = (nr: number, sizeBytes: number): number => ioc(IOC_WRITE, nr, sizeBytes);
const ior = (nr: number, sizeBytes: number): number => ioc(IOC_READ, nr, sizeBytes);
const iowr = (nr: number, sizeBytes: number): number => ioc(IOC_READ | IOC_WRITE, nr, sizeBytes);

// ioctls on /dev/kvm
export const KVM_GET_API_VERSION = io(0x00);
export const KVM_CREATE_VM = io(0x01);
export const KVM_GET_MSR_INDEX_LIST = iowr(0x02, KvmMsrList.size);
export const KVM_CHECK_EXTENSION = io(0x03);
export const KVM_GET_VCPU_MMAP_SIZE = io(0x04);
export const KVM_GET_SUPPORTED_CPUID = iowr(0x05, KvmCpuid2.size);

// ioctls on a VM
export const KVM_CREATE_VCPU = io(0x41);
export const KVM_SET_USER_MEMORY_REGION = iow(0x46, KvmUserspaceMemoryRegion.size);
export const KVM_SET_TSS_ADDR = io(0x47);
export const KVM_SET_IDENTITY_MAP_ADDR = iow(0x48, 8);
export const KVM_CREATE_IRQCHIP = io(0x60);
export const KVM_IRQ_LINE = iow(0x61, KvmIrqLevel.size);
export const KVM_IRQFD = iow(0x76, KvmIrqfd.size);
export const KVM_IOEVENTFD = iow(0x79, KvmIoeventfd.size);
export const KVM_SIGNAL_MSI = iow(0xa5, KvmMsi.size);
export const KVM_GET_IRQCHIP = iowr(0x62, KvmIrqchip.size);
export const KVM_SET_IRQCHIP = ior(0x63, KvmIrqchip.size); // the header says _IOR
export const KVM_CREATE_PIT2 = iow(0x77, KvmPitConfig.size);
export const KVM_SET_CLOCK = iow(0x7b, KvmClockData.size);
export const KVM_GET_CLOCK = ior(0x7c, KvmClockData.size);
export const KVM_GET_PIT2 = ior(0x9f, KvmPitState2.size);
export const KVM_SET_PIT2 = iow(0xa0, KvmPitState2.size);

// ioctls on a vCPU
export const KVM_RUN_IOCTL = io(0x80); // KVM_RUN in the header
export const KVM_GET_REGS = ior(0x81, KvmRegs.size);
export const KVM_SET_REGS = iow(0x82, KvmRegs.size);
export const KVM_GET_SREGS = ior(0x83, KvmSregs.size);
export const KVM_SET_SREGS = iow(0x84, KvmSregs.size);
export const KVM_GET_MSRS = iowr(0x88, KvmMsrs.size);
export const KVM_SET_MSRS = iow(0x89, KvmMsrs.size);
export const KVM_GET_FPU = ior(0x8c, KvmFpu.size);
export const KVM_SET_FPU = iow(0x8d, KvmFpu.size);
export const KVM_GET_LAPIC = ior(0x8e, KvmLapicState.size);
export const KVM_SET_LAPIC = iow(0x8f, KvmLapicState.size);
export const KVM_SET_CPUID2 = iow(0x90, KvmCpuid2.size);
export const KVM_GET_MP_STATE = ior(0x98, KvmMpState.size);
export const KVM_SET_MP_STATE = iow(0x99, KvmMpState.size);
export const KVM_SET_GUEST_DEBUG = iow(0x9b, KvmGuestDebug.size);
export const KVM_GET_VCPU_EVENTS = ior(0x9f, KvmVcpuEvents.size);
export const KVM_SET_VCPU_EVENTS = iow(0xa0, KvmVcpuEvents.size);
export const KVM_GET_DEBUGREGS = ior(0xa1, KvmDebugregs.size);
export const KVM_SET_DEBUGREGS = iow(0xa2, KvmDebugregs.size);
export const KVM_SET_TSC_KHZ = io(0xa2);
export const KVM_GET_TSC_KHZ = io(0xa3);
export const KVM_GET_XSAVE = ior(0xa4, KvmXsave.size);
export const KVM_SET_XSAVE = iow(0xa5, KvmXsave.size);
export const KVM_GET_XCRS = ior(0xa6, KvmXcrs.size);
export const KVM_SET_XCRS = iow(0xa7, KvmXcrs.size);
export const KVM_GET_ONE_REG = iow(0xab, KvmOneReg.size); // the header says _IOW
export const KVM_SET_ONE_REG = iow(0xac, KvmOneReg.size);
export const KVM_KVMCLOCK_CTRL = io(0xad);
export const KVM_GET_REG_LIST = iowr(0xb0, KvmRegList.size);
export const KVM_GET_NESTED_STATE = iowr(0xbe, KvmNestedState.size);
export const KVM_SET_NESTED_STATE = iow(0xbf, KvmNestedState.size);
export const KVM_GET_SREGS2 = ior(0xcc, KvmSregs2.size);
export const KVM_SET_SREGS2 = iow(0xcd, KvmSregs2.size);
export const KVM_GET_XSAVE2 = ior(0xcf, KvmXsave.size);
