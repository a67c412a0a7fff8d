/**
 * The call frame table as readelf interprets it (`--debug-dump=frames-interp`), and what unwinding by it
 * gives.
 */
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';
import type { UnwoundFrame } from '../../debug-adapter/symbols/frames/frameUnwinder.ts';

export interface FrameRule {
  /** `rsp+8`, or `exp` for an expression. */
  readonly cfa: string;
  /** By readelf's names, `ra` being the return address: `c-16`, `u`, `s`, `v+8`, `exp`, a register. */
  readonly registers: ReadonlyMap<string, string>;
}

interface Entry {
  readonly start: bigint;
  readonly end: bigint;
  readonly lines: readonly string[];
  readonly columns: readonly string[];
}

export class ReadelfFrames {
  readonly #entries: Entry[] = [];

  constructor(text: string) {
    for (const section of text.split(/^Contents of the /m).slice(1)) this.#readSection(section);
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Where the rules of entry number `index` (of `size`) hold. */
  range(index: number): { readonly start: bigint; readonly end: bigint } {
    return this.#entries[index] as Entry;
  }

  /**
   * Undefined where several entries claim the address, as in relocatable objects, whose sections all begin at
   * 0.
   */
  ruleAt(address: bigint): FrameRule | undefined {
    const claims = this.#entries.filter(({ start, end }) => address >= start && address < end);
    const [entry] = claims;
    if (entry === undefined || claims.length > 1) return undefined;
    const rows = entry.lines.map((line) => line.trim().split(/\s+/));
    const row = rows.findLast(([at = ''], index) => index === 0 || BigInt(`0x${at}`) <= address);
    if (row === undefined) return undefined;
    const [, cfa = '', ...rules] = row;
    return { cfa, registers: new Map(entry.columns.map((name, index) => [name, rules[index] ?? ''])) };
  }

  #readSection(text: string): void {
    const initial = new Map<string, Pick<Entry, 'lines' | 'columns'>>();
    for (const paragraph of text.split(/\n\n+/).slice(1)) {
      const [head = '', titles = '', ...lines] = paragraph.split('\n');
      const columns = titles.trim().split(/\s+/).slice(2);
      const [, offset, kind, rest = ''] = /^([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ (CIE|FDE) (.*)$/.exec(head) ?? [];
      if (kind === 'CIE') initial.set(offset ?? '', { lines, columns });
      const [, cie, start, end] = /^cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.([0-9a-f]+)/.exec(rest) ?? [];
      if (kind !== 'FDE' || start === undefined || end === undefined) continue;
      // An entry without instructions of its own has the rules it shares.
      const own = lines.length > 0 ? { lines, columns } : initial.get(cie ?? '');
      if (own !== undefined)
        this.#entries.push({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), ...own });
    }
  }
}

/** A frame at `pc` whose registers and memory are numbers that show where they came from. */
export function syntheticFrame(pc: bigint): FrameContext {
  const names = ['rax', 'rdx', 'rcx', 'rbx', 'rsi', 'rdi', 'rbp', 'rsp'];
  for (let number = 8; number < 16; number++) names.push(`r${number}`);
  const registers = new Map(names.map((name, index) => [name, 0x7000_0000n + BigInt(index) * 0x10_0000n]));
  registers.set('rip', pc);
  return {
    registers,
    memory: {
      read: async (address, lengthBytes) => {
        const bytes = new Uint8Array(lengthBytes);
        new DataView(bytes.buffer).setBigUint64(0, contents(address), true);
        return bytes;
      },
    },
  };
}

function contents(address: bigint): bigint {
  return BigInt.asUintN(64, address * 0x9e37_79b9n + 1n);
}

/** What differs between the caller we found and the one that the rule gives; undefined when nothing does. */
export function frameDifference(
  rule: FrameRule,
  frame: FrameContext,
  caller: UnwoundFrame | undefined,
): string | undefined {
  // The outermost frame, as that of _start: its return address is undefined (DWARF 5 §6.4.4).
  if (rule.registers.get('ra') === 'u')
    return caller === undefined ? undefined : 'a caller of the outermost frame';
  const [, base, offset] = /^(\w+)([+-]\d+)$/.exec(rule.cfa) ?? [];
  if (base === undefined || offset === undefined) return `a rule of another kind: ${rule.cfa}`;
  const value = frame.registers.get(base);
  if (caller === undefined || value === undefined) return `no caller, readelf ${rule.cfa}`;
  const cfa = value + BigInt(offset);
  if (caller.cfa !== cfa) return `cfa ${caller.cfa}, readelf ${rule.cfa}`;
  if (caller.registers.get('rsp') !== cfa) return `rsp ${caller.registers.get('rsp')}`;
  for (const [column, text] of rule.registers) {
    const name = column === 'ra' ? 'rip' : column;
    const wanted = ruleValue(text, cfa, frame, name);
    const found = caller.registers.get(name);
    if (found !== wanted) return `${name} ${found}, readelf ${column} ${text}`;
  }
  for (const [name, before] of frame.registers) {
    const hasRule = rule.registers.has(name) || name === 'rip' || name === 'rsp';
    if (!hasRule && caller.registers.get(name) !== before) return `${name} changed without a rule`;
  }
  return undefined;
}

function ruleValue(text: string, cfa: bigint, frame: FrameContext, name: string): bigint | undefined {
  const [, kind, offset] = /^([cv])([+-]\d+)$/.exec(text) ?? [];
  if (kind !== undefined && offset !== undefined) {
    const address = cfa + BigInt(offset);
    return kind === 'c' ? contents(address) : address;
  }
  // `u` is also shown for a register that has no rule (yet): it keeps its value.
  return frame.registers.get(text === 'u' || text === 's' ? name : text);
}
