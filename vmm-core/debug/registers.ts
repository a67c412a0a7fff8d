/**
 * A stopped vCPU's registers in the protocol's form, and back. Main thread. SDM 3A §3.4.2 (selectors), §3.4.5
 * (descriptors).
 */
import { CR0_PE, EFER_LMA, type GeneralRegisters, type Segment, type SystemRegisters } from '../abi/x86.ts';
import { KvmError, UserError } from '../errors.ts';
import { KVM_MP_STATE_RUNNABLE } from '../abi/kvm.ts';
import type { SegmentName } from '../kvm/kvmRun.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { readLinear } from '../memory/linearMemory.ts';
import { hex, hexValues } from '../protocol/hex.ts';
import type { CpuMode, CpuRegisters, SegmentValue } from '../protocol/registers.ts';

const SEGMENTS = ['cs', 'ds', 'es', 'fs', 'gs', 'ss', 'tr', 'ldt'] as const satisfies readonly SegmentName[];
const CONTROL = ['cr0', 'cr2', 'cr3', 'cr4', 'cr8', 'efer'] as const;
const RFLAGS_VM = 1n << 17n;

export function readRegisters(vcpu: KvmVcpu): CpuRegisters {
  const regs = vcpu.run.readGeneral();
  const sregs = vcpu.run.readSystem();
  const values = hexValues({ ...regs });
  for (const name of CONTROL) values[name] = hex(sregs[name]);
  values.fs_base = hex(sregs.fs.base);
  values.gs_base = hex(sregs.gs.base);
  values.gdt_base = hex(sregs.gdt.base);
  values.gdt_limit = hex(sregs.gdt.limit);
  values.idt_base = hex(sregs.idt.base);
  values.idt_limit = hex(sregs.idt.limit);
  return {
    cpu: vcpu.index,
    mode: cpuMode(regs, sregs),
    cpl: (sregs.cr0 & CR0_PE) === 0n ? 0 : sregs.ss.dpl,
    runnable: vcpu.readMpState() === KVM_MP_STATE_RUNNABLE,
    values,
    segments: Object.fromEntries(SEGMENTS.map((name) => [name, segmentValue(sregs[name])])),
  };
}

export function cpuMode(regs: GeneralRegisters, sregs: SystemRegisters): CpuMode {
  if ((sregs.cr0 & CR0_PE) === 0n) return 'real';
  if ((sregs.efer & EFER_LMA) !== 0n) return sregs.cs.l ? 'long64' : sregs.cs.db ? 'long32' : 'long16';
  if ((regs.rflags & RFLAGS_VM) !== 0n) return 'vm86';
  return sregs.cs.db ? 'protected32' : 'protected16';
}

function segmentValue(segment: Segment): SegmentValue {
  return { ...segment, base: hex(segment.base), limit: hex(segment.limit) };
}

/** `values` are of up to 64 bits. Throws UserError; then nothing has changed. */
export function writeRegisters(
  vcpu: KvmVcpu,
  memory: GuestMemory,
  values: Readonly<Record<string, bigint>>,
): void {
  const oldRegs = vcpu.readGeneral();
  const oldSregs = vcpu.readSystem();
  const regs: Record<string, bigint> = { ...oldRegs };
  let sregs: SystemRegisters = oldSregs;
  for (const [name, value] of Object.entries(values)) {
    if (Object.hasOwn(oldRegs, name)) regs[name] = value;
    else sregs = writeSystem(sregs, memory, name, value);
  }
  try {
    if (sregs !== oldSregs) vcpu.writeSystem(sregs);
    vcpu.writeGeneral(regs as unknown as GeneralRegisters);
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    vcpu.writeSystem(oldSregs);
    vcpu.writeGeneral(oldRegs);
    throw new UserError(`the processor does not accept ${Object.keys(values).join(', ')} with that value`, {
      cause: error,
    });
  } finally {
    vcpu.refreshMirror();
  }
}

function writeSystem(
  sregs: SystemRegisters,
  memory: GuestMemory,
  name: string,
  value: bigint,
): SystemRegisters {
  if ((CONTROL as readonly string[]).includes(name)) return { ...sregs, [name]: value };
  switch (name) {
    case 'fs_base':
      return { ...sregs, fs: { ...sregs.fs, base: value } };
    case 'gs_base':
      return { ...sregs, gs: { ...sregs.gs, base: value } };
    case 'gdt_base':
      return { ...sregs, gdt: { ...sregs.gdt, base: value } };
    case 'idt_base':
      return { ...sregs, idt: { ...sregs.idt, base: value } };
    case 'gdt_limit':
      return { ...sregs, gdt: { ...sregs.gdt, limit: word(name, value) } };
    case 'idt_limit':
      return { ...sregs, idt: { ...sregs.idt, limit: word(name, value) } };
    default:
      break;
  }
  const segment = SEGMENTS.find((candidate) => candidate === name);
  if (segment === undefined) throw new UserError(`${name} is not a register that can be set`);
  return { ...sregs, [segment]: loadSegment(sregs, memory, segment, word(name, value)) };
}

function word(name: string, value: bigint): number {
  if (value > 0xffffn) throw new UserError(`${name}: ${hex(value)} does not fit in 16 bits`);
  return Number(value);
}

/** As the processor loads a segment register, without its privilege checks. */
function loadSegment(
  sregs: SystemRegisters,
  memory: GuestMemory,
  name: SegmentName,
  selector: number,
): Segment {
  if ((sregs.cr0 & CR0_PE) === 0n) return { ...sregs[name], selector, base: BigInt(selector) << 4n };
  if ((selector & ~3) === 0) {
    if (name === 'cs') throw new UserError('cs cannot hold a null selector');
    return { ...sregs[name], selector, unusable: true, present: false };
  }
  const table = (selector & 4) === 0 ? sregs.gdt : { base: sregs.ldt.base, limit: sregs.ldt.limit };
  const offset = selector & ~7;
  if (offset + 7 > table.limit)
    throw new UserError(`selector ${hex(selector)} is beyond the descriptor table's limit`);
  const bytes = readLinear(memory, sregs, table.base + BigInt(offset), 8);
  if (bytes.length < 8)
    throw new UserError(`the descriptor of selector ${hex(selector)} is not in mapped memory`);
  return decodeDescriptor(selector, new DataView(bytes.buffer).getBigUint64(0, true), name);
}

function decodeDescriptor(selector: number, raw: bigint, name: SegmentName): Segment {
  const field = (shift: number, bits: number): number =>
    Number((raw >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n));
  const g = field(55, 1) !== 0;
  const limit = field(0, 16) | (field(48, 4) << 16);
  const segment: Segment = {
    selector,
    base: BigInt(field(16, 24) + field(56, 8) * 0x1000000),
    limit: (g ? (limit << 12) | 0xfff : limit) >>> 0,
    type: field(40, 4) | (name === 'tr' || name === 'ldt' ? 0 : 1), // accessed, as after a load
    s: field(44, 1) !== 0,
    dpl: field(45, 2),
    present: field(47, 1) !== 0,
    avl: field(52, 1) !== 0,
    l: field(53, 1) !== 0,
    db: field(54, 1) !== 0,
    g,
    unusable: false,
  };
  if (!segment.present) throw new UserError(`the descriptor of selector ${hex(selector)} is not present`);
  return segment;
}

/** All registers as text, for reports of triple faults and errors: 3 to 4 per line. */
export function registerReport(registers: CpuRegisters): string {
  const names = Object.keys(registers.values);
  const cells = names.map(
    (name) => `${name.padStart(9)}=${(registers.values[name] ?? '').slice(2).padStart(16, '0')}`,
  );
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += 4) lines.push(cells.slice(i, i + 4).join(' '));
  const segments = Object.entries(registers.segments).map(
    ([name, it]) => `${name}=${it.selector.toString(16).padStart(4, '0')} base ${it.base} limit ${it.limit}`,
  );
  return [`vCPU ${registers.cpu}, ${registers.mode}, CPL ${registers.cpl}`, ...lines, ...segments].join('\n');
}
