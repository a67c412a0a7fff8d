/** Register states of a processor in each of its modes, for tests without KVM. */
import {
  CR0_PE,
  CR0_PG,
  CR4_PAE,
  EFER_LMA,
  EFER_LME,
  type GeneralRegisters,
  RFLAGS_RESERVED1,
  type Segment,
  type SystemRegisters,
} from '../../vmm-core/abi/x86.ts';

const FLAT: Segment = {
  selector: 0x10,
  base: 0n,
  limit: 0xffff_ffff,
  type: 3,
  present: true,
  dpl: 0,
  db: true,
  s: true,
  l: false,
  g: true,
  avl: false,
  unusable: false,
};

export function segment(change: Partial<Segment> = {}): Segment {
  return { ...FLAT, ...change };
}

export function generalRegisters(change: Partial<GeneralRegisters> = {}): GeneralRegisters {
  const names = [
    'rax',
    'rbx',
    'rcx',
    'rdx',
    'rsi',
    'rdi',
    'rsp',
    'rbp',
    'r8',
    'r9',
    'r10',
    'r11',
    'r12',
    'r13',
    'r14',
    'r15',
    'rip',
  ];
  const zero = Object.fromEntries(names.map((name) => [name, 0n]));
  return { ...zero, rflags: RFLAGS_RESERVED1, ...change } as unknown as GeneralRegisters;
}

/** 32-bit protected mode without paging. */
export function protectedMode(change: Partial<SystemRegisters> = {}): SystemRegisters {
  const data = segment();
  return {
    cs: segment({ selector: 8, type: 11 }),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    tr: segment({ selector: 0, type: 11, s: false, g: false, limit: 0x67 }),
    ldt: segment({ selector: 0, type: 2, s: false, unusable: true, present: false }),
    gdt: { base: 0n, limit: 0 },
    idt: { base: 0n, limit: 0 },
    cr0: CR0_PE,
    cr2: 0n,
    cr3: 0n,
    cr4: 0n,
    cr8: 0n,
    efer: 0n,
    ...change,
  };
}

export function realMode(change: Partial<SystemRegisters> = {}): SystemRegisters {
  const data = segment({ selector: 0, limit: 0xffff, db: false, g: false });
  return protectedMode({
    cr0: 0n,
    cs: { ...data, type: 11 },
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    ...change,
  });
}

export function longMode(change: Partial<SystemRegisters> = {}): SystemRegisters {
  return protectedMode({
    cs: segment({ selector: 8, type: 11, l: true, db: false }),
    cr0: CR0_PE | CR0_PG,
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
    ...change,
  });
}
