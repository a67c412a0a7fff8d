/**
 * Draws the questions for a file: addresses of its code sections by a seeded generator, independent of what
 * our engine knows.
 */
import { run } from './compile.ts';
import type { AddressQuestion } from './gdbQuestions.ts';

export interface CodeSection {
  readonly name: string;
  readonly address: bigint;
  readonly sizeBytes: number;
  /** Where in the section it begins, when it is a part of one. */
  readonly start?: number;
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

/** The functions whose symbols match, as parts of .text. */
export function codeOfFunctions(program: string, names: RegExp): CodeSection[] {
  const text = codeSections(program).find(({ name }) => name === '.text');
  const row = /^([0-9a-f]+) ([0-9a-f]+) [tTwW] (.+)$/gm;
  return [...run('nm', ['-S', '--defined-only', program]).matchAll(row)].flatMap(
    ([, address, size, name = '']) => {
      const [at, sizeBytes] = [BigInt(`0x${address}`), Number(`0x${size}`)];
      if (text === undefined || !names.test(name)) return [];
      return [{ name: '.text', address: at, sizeBytes, start: Number(at - text.address) }];
    },
  );
}

export interface Sampling {
  readonly count: number;
  /** Only this many places are drawn; the addresses are near them. gdb reads every unit it is asked about. */
  readonly windows?: number;
  /** One address in this many also gets the question. */
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
      scope: isTurn(index, sampling.scopeEvery),
      types: isTurn(index, sampling.typesEvery),
      breakpointNear: isTurn(index, sampling.breakpointEvery)
        ? Math.floor(random() * (2 * NEAR_LINES + 1)) - NEAR_LINES
        : null,
    };
  });
}

/** Never for an `every` that is infinite. */
function isTurn(index: number, every: number): boolean {
  return Number.isFinite(every) && index % every === 0;
}

function place(sections: readonly CodeSection[], at: number): { section: string; offset: number } {
  let offset = at;
  for (const { name, sizeBytes, start = 0 } of sections) {
    if (offset < sizeBytes) return { section: name, offset: start + offset };
    offset -= sizeBytes;
  }
  throw new RangeError('past the last section');
}
