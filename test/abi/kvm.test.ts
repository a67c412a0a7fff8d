import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as kvm from '../../vmm-core/abi/kvm.ts';
import { MSR } from '../../vmm-core/abi/msr.ts';
import {
  ask,
  type Claim,
  contradictions,
  isStruct,
  macroClaim,
  offsetClaims,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['linux/kvm.h', 'asm/kvm.h', 'asm/kvm_para.h', 'sys/ioctl.h'];

/** Our flat names for what the headers nest, by struct. Every other field has the header's name. */
const NESTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  kvm_vcpu_events: {
    exception_injected: 'exception.injected',
    exception_nr: 'exception.nr',
    exception_has_error_code: 'exception.has_error_code',
    exception_pending: 'exception.pending',
    exception_error_code: 'exception.error_code',
    interrupt_injected: 'interrupt.injected',
    interrupt_nr: 'interrupt.nr',
    interrupt_soft: 'interrupt.soft',
    interrupt_shadow: 'interrupt.shadow',
    nmi_injected: 'nmi.injected',
    nmi_pending: 'nmi.pending',
    nmi_masked: 'nmi.masked',
    smi_smm: 'smi.smm',
    smi_pending: 'smi.pending',
    smi_smm_inside_nmi: 'smi.smm_inside_nmi',
    smi_latched_init: 'smi.latched_init',
    triple_fault_pending: 'triple_fault.pending',
  },
  kvm_irqchip: { pic_elcr: 'chip.pic.elcr' },
  kvm_sregs2: Object.fromEntries([0, 1, 2, 3].map((n) => [`pdptrs${n}`, `pdptrs[${n}]`])),
  kvm_debugregs: { db0: 'db[0]', db1: 'db[1]', db2: 'db[2]', db3: 'db[3]' },
  kvm_guest_debug: Object.fromEntries([0, 1, 2, 3, 6, 7].map((n) => [`debugreg${n}`, `arch.debugreg[${n}]`])),
};

const KVM_RUN_MEMBERS: Readonly<Record<keyof typeof kvm.KVM_RUN, string>> = {
  immediate_exit: 'immediate_exit',
  exit_reason: 'exit_reason',
  io_direction: 'io.direction',
  io_size: 'io.size',
  io_port: 'io.port',
  io_count: 'io.count',
  io_data_offset: 'io.data_offset',
  mmio_phys_addr: 'mmio.phys_addr',
  mmio_data: 'mmio.data',
  mmio_len: 'mmio.len',
  mmio_is_write: 'mmio.is_write',
  debug_exception: 'debug.arch.exception',
  debug_pc: 'debug.arch.pc',
  debug_dr6: 'debug.arch.dr6',
  debug_dr7: 'debug.arch.dr7',
  fail_entry_hardware_entry_failure_reason: 'fail_entry.hardware_entry_failure_reason',
  internal_suberror: 'internal.suberror',
  emulation_flags: 'emulation_failure.flags',
  emulation_insn_size: 'emulation_failure.insn_size',
  emulation_insn_bytes: 'emulation_failure.insn_bytes',
  system_event_type: 'system_event.type',
  kvm_valid_regs: 'kvm_valid_regs',
  kvm_dirty_regs: 'kvm_dirty_regs',
  s_regs: 's.regs.regs',
  s_sregs: 's.regs.sregs',
  s_events: 's.regs.events',
};

/**
 * Newer than the oldest headers we build on (Debian 12: Linux 6.1); what they do not define cannot be
 * compared.
 */
const NEWER_THAN_6_1 = new Set([
  'KVM_EXIT.MEMORY_FAULT',
  'KVM_X86_REG_TYPE_MSR',
  'KVM_X86_REG_TYPE_KVM',
  'KVM_REG_GUEST_SSP',
]);

/** Our name when it cannot be the header's: KVM_RUN is the table of offsets. */
const RENAMED: Readonly<Record<string, string>> = { KVM_RUN_IOCTL: 'KVM_RUN' };

function claimsOf(name: string, value: unknown): Claim[] {
  if (isStruct(value)) return structClaims(value, NESTED[value.name]);
  if (name === 'KVM_RUN') return offsetClaims('struct kvm_run', kvm.KVM_RUN, KVM_RUN_MEMBERS);
  if (name === 'KVM_SREGS_SEGMENTS') return bothSregs(kvm.KVM_SREGS_SEGMENTS);
  if (name === 'KVM_SREGS_TABLES') return bothSregs(kvm.KVM_SREGS_TABLES);
  if (name === 'KVM_XCRS') return offsetClaims('struct kvm_xcrs', kvm.KVM_XCRS);
  if (name === 'KVM_IRQCHIPS') return offsetClaims('struct kvm_irqchip', kvm.KVM_IRQCHIPS);
  if (name === 'KVM_IOAPICS') return offsetClaims('struct kvm_ioapic_state', kvm.KVM_IOAPICS);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value as Record<string, number>).map(([key, number]) => ({
      ...macroClaim(`${name}_${key}`, number),
      name: `${name}.${key}`,
    }));
  }
  if (typeof value === 'number' || typeof value === 'bigint') {
    return [macroClaim(name, value, RENAMED[name])];
  }
  throw new Error(`abi/kvm.ts exports ${name}, which this test does not know how to compare`);
}

function bothSregs(offsets: Readonly<Record<string, number>>): Claim[] {
  return ['struct kvm_sregs', 'struct kvm_sregs2'].flatMap((it) => offsetClaims(it, offsets));
}

test('every struct, offset and number of the KVM API is what the kernel headers say', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = Object.entries(kvm).flatMap(([name, value]) => claimsOf(name, value));
  const answers = await ask(HEADERS, claims);

  assert.deepEqual(contradictions(claims, answers), []);
  const unknown = unknownToHeaders(claims, answers);
  assert.deepEqual(
    unknown.filter((name) => !NEWER_THAN_6_1.has(name)),
    [],
    'names that no header has: a misspelling, or add them to NEWER_THAN_6_1',
  );
  t.diagnostic(
    `${claims.length - unknown.length} compared; not in these headers: ${unknown.join(', ') || 'none'}`,
  );
});

test('what is not compared with the headers exists, so that the list cannot hide a misspelling', () => {
  assert.ok('MEMORY_FAULT' in kvm.KVM_EXIT);
});

test("KVM's own MSRs are what the kernel headers say; the processors' are in no user-space header", async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const ours = Object.entries(MSR).filter(([name]) => name.startsWith('KVM_'));
  const claims = ours.map(([name, number]) => macroClaim(`MSR_${name}`, number));
  const answers = await ask(HEADERS, claims);

  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
});

test('the oracle notices a wrong size, offset and number', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const wrong = [
    { ...structClaims(kvm.KvmRegs)[0], value: 143n } as Claim,
    ...offsetClaims('struct kvm_run', { exit_reason: 9 }),
    macroClaim('KVM_GET_API_VERSION', 1),
  ];
  const answers = await ask(HEADERS, wrong);
  assert.deepEqual(contradictions(wrong, answers), [
    'sizeof(kvm_regs) is 143 in our table, sizeof(struct kvm_regs) is 144 in the header',
    'struct_kvm_run.exit_reason is 9 in our table, offsetof(struct kvm_run, exit_reason) is 8 in the header',
    'KVM_GET_API_VERSION is 1 in our table, KVM_GET_API_VERSION is 44544 in the header',
  ]);
});
