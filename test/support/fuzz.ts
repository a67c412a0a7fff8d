/**
 * Runs a parser on broken files made from good ones. Whatever the bytes, our parsers end soon, stay within
 * their memory and fail only with their own typed error. Seeded: a failure names the round that reproduces
 * it.
 */
import { mutate, seededRandom } from './bytes.ts';

/** A file's sections by name; the whole file under one name if it has none. */
export type Sections = ReadonlyMap<string, Uint8Array>;

export interface FuzzTarget {
  readonly name: string;
  /** Good files. */
  readonly seeds: readonly Sections[];
  /** Reads everything. Throws for what is broken. */
  readonly run: (sections: Sections) => void | Promise<void>;
  /** Whether an error is one that broken bytes may cause. */
  readonly isTyped: (error: unknown) => boolean;
}

export interface FuzzOptions {
  readonly rounds: number;
  readonly firstRound?: number;
}

/** Of processor time: a machine that is busy with others does not count. */
const MAX_ROUND_MS = 2000;
/**
 * More than any file of a few hundred bytes has a right to; includes garbage of the rounds since the last
 * collection.
 */
const MAX_GROWTH_BYTES = 256 << 20;

/** How many rounds ended with an error. Throws when a round ends in any other way. */
export async function fuzz(target: FuzzTarget, { rounds, firstRound = 0 }: FuzzOptions): Promise<number> {
  await runGoodFiles(target);
  let refused = 0;
  for (let round = firstRound; round < firstRound + rounds; round++)
    if ((await fuzzRound(target, round)) === 'refused') refused++;
  return refused;
}

/** Good files have no errors. */
export async function runGoodFiles({ seeds, run }: FuzzTarget): Promise<void> {
  for (const seed of seeds) await run(seed);
}

/** One broken file. Throws when reading ends in a way it must not. */
export async function fuzzRound(target: FuzzTarget, round: number): Promise<'read' | 'refused'> {
  const sections = broken(target, round);
  const before = allocated();
  const start = cpuMs();
  let outcome: 'read' | 'refused' = 'read';
  try {
    await target.run(sections);
  } catch (error) {
    if (!target.isTyped(error))
      throw new Error(`${target.name}, round ${round}: ${String(error)}`, { cause: error });
    outcome = 'refused';
  }
  const ms = cpuMs() - start;
  if (ms > MAX_ROUND_MS) throw new Error(`${target.name}, round ${round}: took ${Math.round(ms)} ms`);
  const growth = allocated() - before;
  if (growth > MAX_GROWTH_BYTES) throw new Error(`${target.name}, round ${round}: took ${growth >> 20} MiB`);
  return outcome;
}

/** The broken file of a round. */
export function broken({ seeds }: FuzzTarget, round: number): Sections {
  const random = seededRandom(round);
  const sections = new Map(seeds[round % seeds.length]);
  const names = [...sections.keys()];
  for (let changes = 1 + Math.floor(random() * 2); changes > 0; changes--) {
    const name = names[Math.floor(random() * names.length)] as string;
    const bytes = sections.get(name) as Uint8Array;
    sections.set(name, random() < 0.5 ? mutate(bytes, random) : withEdge(bytes, random));
  }
  return sections;
}

/** Values at which arithmetic on lengths and offsets goes wrong. */
const EDGES = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_fff0n,
  0xffff_ffffn,
  1n << 53n,
  1n << 63n,
  (1n << 64n) - 1n,
];

/** One field of 1 to 8 bytes becomes an edge value, or a piece of the file is repeated or left out. */
function withEdge(bytes: Uint8Array, random: () => number): Uint8Array {
  const at = Math.floor(random() * bytes.length);
  const kind = random();
  if (kind < 0.15) {
    const length = Math.floor(random() * 32);
    const end = Math.min(at + length, bytes.length);
    const repeated =
      random() < 0.5
        ? [bytes.subarray(0, end), bytes.subarray(at)]
        : [bytes.subarray(0, at), bytes.subarray(end)];
    return Uint8Array.from(repeated.flatMap((part) => [...part]));
  }
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const value = EDGES[Math.floor(random() * EDGES.length)] as bigint;
  const sizeBytes = [1, 2, 4, 8][Math.floor(random() * 4)] as number;
  for (let index = 0; index < sizeBytes && at + index < copy.length; index++)
    view.setUint8(at + index, Number((value >> BigInt(8 * index)) & 0xffn));
  return copy;
}

/** What this process has used. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function allocated(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
