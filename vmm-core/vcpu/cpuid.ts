/**
 * The CPUID a guest's vCPU sees: what the host supports, with our own topology (n single-thread cores in one
 * package). Intel SDM 2A CPUID; leaves 0xB and 0x1F from §"extended topology". Main thread, at assembly.
 */
import { KVM_CPUID_FLAG_SIGNIFCANT_INDEX } from '../abi/kvm.ts';
import type { CpuidEntry } from '../kvm/kvm.ts';

const LEAF_FEATURES = 0x1;
const LEAF_CACHE = 0x4;
const LEAF_POWER = 0x6;
const LEAF_PERFMON = 0xa;
const LEAF_TOPOLOGY = 0xb;
const LEAF_TOPOLOGY_V2 = 0x1f;
const LEAF_AMD_FEATURES = 0x80000001;
const LEAF_AMD_SIZES = 0x80000008;
const LEAF_AMD_CACHE = 0x8000001d;
const LEAF_AMD_TOPOLOGY = 0x8000001e;
/** The host's, which would contradict leaf 0xb; a guest without it looks there. */
const LEAF_AMD_TOPOLOGY_V2 = 0x80000026;

const TOPOLOGY_LEAVES = [LEAF_TOPOLOGY, LEAF_TOPOLOGY_V2, LEAF_AMD_TOPOLOGY_V2];

const ECX_PDCM = 1 << 15;
const ECX_TSC_DEADLINE = 1 << 24;
const ECX_HYPERVISOR = 1 << 31;
const EDX_HTT = 1 << 28;
const ECX_CMP_LEGACY = 1 << 1;
const TOPOLOGY_SMT = 0x100; // ECX[15:8] = 1
const TOPOLOGY_CORE = 0x201; // ECX[15:8] = 2, level number 1

/** The entries for vCPU `index` (its APIC id) of `cpus`. */
export function guestCpuid(supported: readonly CpuidEntry[], index: number, cpus: number): CpuidEntry[] {
  const entries = supported
    .filter((entry) => !TOPOLOGY_LEAVES.includes(entry.function))
    .map((entry) => ({ ...entry }));
  for (const entry of entries) adjust(entry, index, cpus);
  return [...entries, ...topologyLeaves(supported, index, cpus)];
}

function adjust(entry: CpuidEntry, index: number, cpus: number): void {
  switch (entry.function) {
    case LEAF_FEATURES:
      entry.ebx = ((entry.ebx & 0x0000ffff) | (powerOfTwo(cpus) << 16) | (index << 24)) >>> 0;
      entry.ecx = ((entry.ecx & ~ECX_PDCM) | ECX_TSC_DEADLINE | ECX_HYPERVISOR) >>> 0;
      entry.edx = (cpus > 1 ? entry.edx | EDX_HTT : entry.edx & ~EDX_HTT) >>> 0;
      break;
    case LEAF_CACHE:
    case LEAF_AMD_CACHE:
      // Bits 25:14: logical CPUs that share the cache, minus one: each core has its own, except the last
      // level.
      entry.eax = (entry.eax & ~0x03ffc000) >>> 0;
      if (((entry.eax >>> 5) & 7) >= 3) entry.eax = (entry.eax | ((powerOfTwo(cpus) - 1) << 14)) >>> 0;
      if (entry.function === LEAF_CACHE && (entry.eax & 0x1f) !== 0) {
        entry.eax = ((entry.eax & 0x03ffffff) | ((powerOfTwo(cpus) - 1) << 26)) >>> 0;
      }
      break;
    case LEAF_POWER:
    case LEAF_PERFMON:
      entry.eax = entry.function === LEAF_POWER ? entry.eax & 4 : 0; // keep ARAT
      entry.ebx = entry.ecx = entry.edx = 0;
      break;
    case LEAF_AMD_FEATURES:
      if (cpus === 1) entry.ecx = (entry.ecx & ~ECX_CMP_LEGACY) >>> 0; // HTT says no more than cores
      break;
    case LEAF_AMD_SIZES:
      entry.ecx = (((32 - Math.clz32(powerOfTwo(cpus) - 1)) << 12) | (cpus - 1)) >>> 0;
      break;
    case LEAF_AMD_TOPOLOGY:
      entry.eax = index;
      entry.ebx = (entry.ebx & ~0xffff) | index; // core id, one thread per core
      entry.ecx = 0;
      break;
    default:
      break;
  }
}

function topologyLeaves(supported: readonly CpuidEntry[], index: number, cpus: number): CpuidEntry[] {
  const leaves = [LEAF_TOPOLOGY, LEAF_TOPOLOGY_V2].filter((leaf) =>
    supported.some((e) => e.function === leaf),
  );
  const flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
  const packageShift = 32 - Math.clz32(powerOfTwo(cpus) - 1);
  return leaves.flatMap((leaf) => [
    { function: leaf, index: 0, flags, eax: 0, ebx: 1, ecx: TOPOLOGY_SMT, edx: index },
    { function: leaf, index: 1, flags, eax: packageShift, ebx: cpus, ecx: TOPOLOGY_CORE, edx: index },
    { function: leaf, index: 2, flags, eax: 0, ebx: 0, ecx: 2, edx: index },
  ]);
}

function powerOfTwo(n: number): number {
  return n <= 1 ? 1 : 2 ** (32 - Math.clz32(n - 1));
}
