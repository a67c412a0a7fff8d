/** What a PC's BIOS answers to INT 15h, E820h. Every boot protocol hands over this map. */
import { E820_RAM, E820_RESERVED, type E820Entry } from '../abi/e820.ts';
import {
  CONVENTIONAL_RAM_END,
  HIGH_RAM_BASE,
  HOLE_END,
  KVM_IDENTITY_MAP,
  type RamRange,
} from '../memory/layout.ts';
import type { Board } from './contribution.ts';

interface Range {
  readonly start: number;
  readonly end: number;
}

/** No RAM to the guest, whether there is some or not. */
const RESERVED: readonly Range[] = [
  { start: CONVENTIONAL_RAM_END, end: HIGH_RAM_BASE }, // extended BIOS data, video memory, ROM
  { start: KVM_IDENTITY_MAP, end: HOLE_END }, // KVM's own pages, firmware ROM
];

/** Sorted, disjoint. */
export function e820Map(ram: readonly RamRange[], { chips }: Board): E820Entry[] {
  const claimed = chips.flatMap((chip) => chip.motherboardMemory ?? []);
  const reserved = [
    ...RESERVED,
    ...claimed.map(({ base, sizeBytes }) => ({ start: base, end: base + sizeBytes })),
  ];
  const usable = reserved.reduce(without, joined(ram));
  const entries = [
    ...usable.map((range) => entry(range, E820_RAM)),
    ...reserved.map((range) => entry(range, E820_RESERVED)),
  ];
  return entries.sort((one, other) => one.address - other.address);
}

/** The slots that RAM comes in are of no interest to a guest. */
function joined(ram: readonly RamRange[]): Range[] {
  const ranges: Range[] = [];
  for (const { base, sizeBytes } of ram) {
    const last = ranges.at(-1);
    if (last?.end === base) ranges[ranges.length - 1] = { start: last.start, end: base + sizeBytes };
    else ranges.push({ start: base, end: base + sizeBytes });
  }
  return ranges;
}

function without(ranges: readonly Range[], window: Range): Range[] {
  return ranges
    .flatMap(({ start, end }) => [
      { start, end: Math.min(end, window.start) },
      { start: Math.max(start, window.end), end },
    ])
    .filter(({ start, end }) => start < end);
}

function entry({ start, end }: Range, type: number): E820Entry {
  return { address: start, sizeBytes: end - start, type };
}
