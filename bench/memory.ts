/** What a VMM with a running guest costs besides the guest's RAM. */
import { readFileSync } from 'node:fs';
import { type CommandLine, MEMORY_MIB, start } from './machines.ts';

/**
 * PSS in MiB of each of `machines` VMs, without the mapping of guest RAM, with every guest spinning on its
 * one vCPU.
 */
export async function overheadMib(commandLine: CommandLine, machines = 1): Promise<number> {
  const vms = Array.from({ length: machines }, () => start(commandLine));
  try {
    await Promise.all(vms.map((it) => it.sawByte('S')));
    await settled();
    const overheads = vms.map((it) => pssWithoutRam(readFileSync(`/proc/${it.process.pid}/smaps`, 'utf8')));
    return overheads.reduce((total, it) => total + it, 0) / machines / 1024;
  } finally {
    await Promise.all(vms.map((it) => it.kill()));
  }
}

/** Both have background threads that finish their start-up; neither is hurried. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

const SETTLE_MS = 3000;

interface Mapping {
  readonly name: string;
  readonly sizeKib: number;
  readonly pssKib: number;
}

/** proc(5), smaps. KiB. Throws when guest RAM cannot be told from other mappings. */
export function pssWithoutRam(smaps: string): number {
  const mappings = smaps
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter((it) => it !== '')
    .map(parseMapping);
  const named = mappings.filter((it) => it.name.includes('memory-backend-memfd'));
  const ram = named.length > 0 ? named : mappings.filter((it) => it.name === '' && isRamSized(it.sizeKib));
  if (ram.length !== 1) throw new Error(`${ram.length} mappings look like the guest's RAM`);
  return sum(mappings) - sum(ram);
}

/**
 * A wasm memory of ours is one anonymous mapping; neighbours the kernel merged into it make it a little
 * larger.
 */
function isRamSized(sizeKib: number): boolean {
  return sizeKib >= MEMORY_MIB * 1024 && sizeKib < MEMORY_MIB * 1024 + 4096;
}

function sum(mappings: readonly Mapping[]): number {
  return mappings.reduce((total, it) => total + it.pssKib, 0);
}

function parseMapping(text: string): Mapping {
  const [head = ''] = text.split('\n', 1);
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? NaN);
  return { name: head.split(/\s+/).slice(5).join(' '), sizeKib: field('Size'), pssKib: field('Pss') };
}
