/** Draws the questions for a file: addresses of its code sections by a seeded generator, independent of what our engine knows. */
import { run } from './compile.ts';
import type { AddressQuestion } from './gdbQuestions.ts';

export interface CodeSection {
  readonly name: string;
  readonly address: bigint;
  readonly sizeBytes: number;
}

/** Executable sections, as readelf lists them. */
export function codeSections(program: string): CodeSection[] {
  const row = /^ *\[ *\d+\] (\S+) +PROGBITS +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) \S+ +(\w+) /gm;
  return [...run('readelf', ['-SW', program]).matchAll(row)].flatMap(
    ([, name = '', address, size, flags = '']) => {
      const sizeBytes = Number(`0x${size}`);
      const isCode = flags.includes('X') && flags.includes('A') && sizeBytes > 0;
      return isCode ? [{ name, address: BigInt(`0x${address}`), sizeBytes }] : [];
    },
  );
}

export interface Sampling {
  readonly count: number;
  /** Only that many places are drawn from; the addresses are near them. gdb reads every unit it is asked about. */
  readonly windows?: number;
  /** One address of so many also gets the question. */
  readonly scopeEvery: number;
  readonly typesEvery: number;
  readonly breakpointEvery: number;
}

const WINDOW_BYTES = 0x8000;
/** A breakpoint is asked for on a line at most this far from one that has code. */
const NEAR_LINES = 3;

export function drawAddresses(
  sections: readonly CodeSection[],
  random: () => number,
  sampling: Sampling,
): AddressQuestion[] {
  const total = sections.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const windows = Array.from({ length: sampling.windows ?? 0 }, () => Math.floor(random() * total));
  return Array.from({ length: sampling.count }, (_, index) => {
    const window = windows[index % (sampling.windows ?? 1)];
    const at =
      window === undefined
        ? Math.floor(random() * total)
        : Math.min(total - 1, window + Math.floor(random() * WINDOW_BYTES));
    return {
      ...place(sections, at),
      scope: index % sampling.scopeEvery === 0,
      types: index % sampling.typesEvery === 0,
      breakpointNear:
        index % sampling.breakpointEvery === 0
          ? Math.floor(random() * (2 * NEAR_LINES + 1)) - NEAR_LINES
          : null,
    };
  });
}

function place(sections: readonly CodeSection[], at: number): { section: string; offset: number } {
  let offset = at;
  for (const { name, sizeBytes } of sections) {
    if (offset < sizeBytes) return { section: name, offset };
    offset -= sizeBytes;
  }
  throw new RangeError('past the last section');
}
