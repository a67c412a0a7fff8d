/**
 * A view of kvm_run, the memory a vCPU shares with the kernel (<linux/kvm.h>). The vCPU's thread reads exits
 * from it (exitViews.ts); while the vCPU is stopped any thread may read the register mirror
 * (KVM_CAP_SYNC_REGS). Field offsets: abi/kvm.ts.
 */
import {
  KVM_RUN,
  KVM_SREGS_SEGMENTS,
  KVM_SREGS_TABLES,
  KVM_SYNC_X86_EVENTS,
  KVM_SYNC_X86_REGS,
  KVM_SYNC_X86_SREGS,
  KvmDtable,
  KvmRegs,
  KvmSegment,
  KvmSregs,
} from '../abi/kvm.ts';
import type { DescriptorTable, GeneralRegisters, Segment, SystemRegisters } from '../abi/x86.ts';
import {
  DebugExit,
  FailEntryExit,
  InternalErrorExit,
  IoExit,
  MmioExit,
  SystemEventExit,
} from './exitViews.ts';
import type { RunPages } from './runPages.ts';

/** Segment registers in the order and with the names of struct kvm_sregs. */
export type SegmentName = keyof typeof KVM_SREGS_SEGMENTS;

const MIRROR_ALL = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
const OFFSET_RIP = KVM_RUN.s_regs + KvmRegs.fields.rip.offset;
const OFFSET_RSP = KVM_RUN.s_regs + KvmRegs.fields.rsp.offset;
const OFFSET_CS_BASE = KVM_RUN.s_sregs + KVM_SREGS_SEGMENTS.cs;

export class KvmRun {
  readonly io: IoExit;
  readonly mmio: MmioExit;
  readonly debug: DebugExit;
  readonly internalError: InternalErrorExit;
  readonly failEntry: FailEntryExit;
  readonly systemEvent: SystemEventExit;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  /** Of vCPU `index`. */
  constructor({ memory, strideBytes }: RunPages, index: number) {
    const view = new DataView(memory.buffer, strideBytes * index, strideBytes);
    const bytes = new Uint8Array(memory.buffer, strideBytes * index, strideBytes);
    this.io = new IoExit(view, bytes);
    this.mmio = new MmioExit(view, bytes);
    this.debug = new DebugExit(view);
    this.internalError = new InternalErrorExit(view, bytes);
    this.failEntry = new FailEntryExit(view);
    this.systemEvent = new SystemEventExit(view);
    this.#view = view;
    this.#bytes = bytes;
  }

  /** KVM_EXIT_*: which of the members above is valid. */
  get exitReason(): number {
    return this.#view.getUint32(KVM_RUN.exit_reason, true);
  }

  /** 1: the next KVM_RUN finishes a pending I/O or MMIO read and returns EINTR without entering the guest. */
  set immediateExit(on: boolean) {
    this.#bytes[KVM_RUN.immediate_exit] = on ? 1 : 0;
  }

  /**
   * Asks the kernel to copy all registers here at each exit: on at stops, off while running (every exit
   * would pay for it).
   */
  set mirrorRegisters(on: boolean) {
    this.#view.setUint32(KVM_RUN.kvm_valid_regs, on ? MIRROR_ALL : 0, true);
  }

  /** Only the general registers, at each exit. */
  mirrorGeneral(): void {
    this.#view.setUint32(KVM_RUN.kvm_valid_regs, KVM_SYNC_X86_REGS, true);
  }

  /** The general registers in the mirror, as bytes. */
  get generalBytes(): Uint8Array {
    return this.#bytes.subarray(KVM_RUN.s_regs, KVM_RUN.s_regs + KvmRegs.size);
  }

  /** Makes the kernel take the general registers from the mirror at the next KVM_RUN. */
  markGeneralDirty(): void {
    const dirty = this.#view.getUint32(KVM_RUN.kvm_dirty_regs, true);
    this.#view.setUint32(KVM_RUN.kvm_dirty_regs, dirty | KVM_SYNC_X86_REGS, true);
  }

  get rip(): bigint {
    return this.#view.getBigUint64(OFFSET_RIP, true);
  }
  set rip(value: bigint) {
    this.#view.setBigUint64(OFFSET_RIP, value, true);
  }

  get rsp(): bigint {
    return this.#view.getBigUint64(OFFSET_RSP, true);
  }

  /** RIP with CS's base applied; 64-bit mode has none. */
  get linearRip(): bigint {
    return (this.#view.getBigUint64(OFFSET_CS_BASE, true) + this.rip) & 0xffff_ffff_ffff_ffffn;
  }

  /** Into the mirror: a struct kvm_regs and a struct kvm_sregs. The vCPU itself does not change. */
  showRegisters(regs: Uint8Array, sregs: Uint8Array): void {
    this.#bytes.set(regs, KVM_RUN.s_regs);
    this.#bytes.set(sregs, KVM_RUN.s_sregs);
  }

  readGeneral(): GeneralRegisters {
    return KvmRegs.read(this.#view, KVM_RUN.s_regs);
  }

  readSystem(): SystemRegisters {
    return decodeSregs(this.#view, KVM_RUN.s_sregs);
  }
}

export function decodeSregs(view: DataView, at = 0): SystemRegisters {
  const segment = (name: SegmentName): Segment => decodeSegment(view, at + KVM_SREGS_SEGMENTS[name]);
  const table = (offset: number): DescriptorTable => {
    const { base, limit } = KvmDtable.read(view, at + offset);
    return { base, limit };
  };
  return {
    cs: segment('cs'),
    ds: segment('ds'),
    es: segment('es'),
    fs: segment('fs'),
    gs: segment('gs'),
    ss: segment('ss'),
    tr: segment('tr'),
    ldt: segment('ldt'),
    gdt: table(KVM_SREGS_TABLES.gdt),
    idt: table(KVM_SREGS_TABLES.idt),
    ...KvmSregs.read(view, at),
  };
}

/** Writes everything but apic_base and the interrupt bitmap, which stay as they are in `view`. */
export function encodeSregs(view: DataView, sregs: SystemRegisters, at = 0): void {
  for (const [name, offset] of Object.entries(KVM_SREGS_SEGMENTS)) {
    encodeSegment(view, sregs[name as SegmentName], at + offset);
  }
  KvmDtable.write(view, sregs.gdt, at + KVM_SREGS_TABLES.gdt);
  KvmDtable.write(view, sregs.idt, at + KVM_SREGS_TABLES.idt);
  const { cr0, cr2, cr3, cr4, cr8, efer } = sregs;
  KvmSregs.write(view, { cr0, cr2, cr3, cr4, cr8, efer }, at);
}

function decodeSegment(view: DataView, at: number): Segment {
  const raw = KvmSegment.read(view, at);
  return {
    selector: raw.selector,
    base: raw.base,
    limit: raw.limit,
    type: raw.type,
    dpl: raw.dpl,
    present: raw.present !== 0,
    db: raw.db !== 0,
    s: raw.s !== 0,
    l: raw.l !== 0,
    g: raw.g !== 0,
    avl: raw.avl !== 0,
    unusable: raw.unusable !== 0,
  };
}

function encodeSegment(view: DataView, segment: Segment, at: number): void {
  KvmSegment.write(
    view,
    {
      base: segment.base,
      limit: segment.limit,
      selector: segment.selector,
      type: segment.type,
      present: Number(segment.present),
      dpl: segment.dpl,
      db: Number(segment.db),
      s: Number(segment.s),
      l: Number(segment.l),
      g: Number(segment.g),
      avl: Number(segment.avl),
      unusable: Number(segment.unusable),
    },
    at,
  );
}
