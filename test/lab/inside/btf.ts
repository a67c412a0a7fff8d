/**
 * Where a member of a structure of the running kernel is, by its own description of its types
 * (Documentation/bpf/btf.rst; /sys/kernel/btf). For what it does not promise to anybody.
 */
const MAGIC = 0xeb9f;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;
const KIND_STRUCT = 4;
/** What is behind a type, by its kind: so many bytes, and so many for each of its parts. */
const BEHIND: Readonly<Record<number, readonly [number, number]>> = {
  ...{ 1: [4, 0], 3: [12, 0], 4: [0, MEMBER_BYTES], 5: [0, MEMBER_BYTES], 6: [0, 8] },
  ...{ 13: [0, 8], 14: [4, 0], 15: [0, 12], 17: [4, 0], 19: [0, 12] },
};

/**
 * In bytes from the start of the structure; undefined: there is no such. `module`: the types of a module,
 * whose names are in part those of `kernel`.
 */
export function memberOffset(
  module: DataView,
  kernel: DataView,
  structure: string,
  member: string,
): number | undefined {
  const { types, end, name } = sections(module, kernel);
  for (let at = types; at + TYPE_BYTES <= end;) {
    const info = module.getUint32(at + 4, true);
    const [kind, parts] = [(info >>> 24) & 0x1f, info & 0xffff];
    const isFound = kind === KIND_STRUCT && name(module.getUint32(at, true)) === structure;
    at += TYPE_BYTES;
    for (let i = 0; isFound && i < parts; i++) {
      const part = at + i * MEMBER_BYTES;
      if (name(module.getUint32(part, true)) === member) return module.getUint32(part + 8, true) / 8;
    }
    const [once, each] = BEHIND[kind] ?? [0, 0];
    at += once + parts * each;
  }
  return undefined;
}

interface Sections {
  /** Where types are. */
  readonly types: number;
  readonly end: number;
  /** By its offset in both tables of strings, of which the kernel's is the first. */
  readonly name: (offset: number) => string;
}

/** Throws RangeError: it is cut short, or none. */
function sections(module: DataView, kernel: DataView): Sections {
  const own = strings(module);
  const base = strings(kernel);
  const headerBytes = module.getUint32(4, true);
  const types = headerBytes + module.getUint32(8, true);
  return {
    ...{ types, end: types + module.getUint32(12, true) },
    name: (offset) => (offset < base.length ? textAt(base, offset) : textAt(own, offset - base.length)),
  };
}

function strings(btf: DataView): Uint8Array {
  if (btf.getUint16(0, true) !== MAGIC) throw new RangeError('this is no BTF');
  const at = btf.getUint32(4, true) + btf.getUint32(16, true);
  return new Uint8Array(btf.buffer, btf.byteOffset + at, btf.getUint32(20, true));
}

function textAt(bytes: Uint8Array, offset: number): string {
  return Buffer.from(bytes.subarray(offset, bytes.indexOf(0, offset))).toString('latin1');
}
