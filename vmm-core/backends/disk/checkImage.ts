/** What is wrong with a qcow2 image, as `qemu-img check` has it; and leaks given back. */
import { CorruptError } from './diskError.ts';
import type { ImageFile } from './imageFile.ts';
import type { Qcow2Header } from './qcow2/header.ts';
import { readHeader } from './qcow2/openQcow2.ts';
import { Layout } from './qcow2/layout.ts';
import { type MapStatistics, References } from './qcow2/references.ts';
import { Refcounts } from './qcow2/refcounts.ts';
import { lowerRefcounts } from './qcow2/repair.ts';

export interface CheckReport {
  /** Sentences, the first ones. */
  readonly problems: readonly string[];
  /** Clusters in use that are not counted so, broken entries: writing to the image loses data. */
  readonly errors: number;
  /** Clusters that nothing uses and that are not free either. */
  readonly leaks: number;
  readonly leaksRepaired: number;
  readonly isDirty: boolean;
  readonly isMarkedCorrupt: boolean;
  readonly totalClusters: number;
  readonly statistics: MapStatistics;
  /** Where the last cluster in use ends. */
  readonly endOffset: number;
}

export interface CheckOptions {
  readonly repairsLeaks: boolean;
}

const MAX_PROBLEMS = 100;

/** Exit codes of `qemu-img check`. */
export const CHECK_EXIT = { ok: 0, failed: 1, errors: 2, leaks: 3 } as const;

/** Throws UserError for a header that cannot be read, and DiskError. */
export function checkQcow2(file: ImageFile, options: CheckOptions): CheckReport {
  const header = readHeader(file);
  try {
    return checkTables(file, header, options);
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    return withoutTables(header, error.what);
  }
}

function checkTables(file: ImageFile, header: Qcow2Header, { repairsLeaks }: CheckOptions): CheckReport {
  const problems: string[] = [];
  let errors = 0;
  const add = (problem: string): void => {
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
  };
  const layout = new Layout(file, header, !repairsLeaks);
  const refcounts = new Refcounts(layout);
  const report = (problem: string): void => {
    errors++;
    add(problem);
  };
  const references = new References(layout, refcounts, { areCountsRight: true, report });
  references.collect();
  let leaks = 0;
  references.counts.forEach((count, cluster) => {
    const stored = refcounts.get(cluster);
    if (stored > count) leaks++;
    if (stored < count) errors++;
    if (stored !== count) add(`cluster ${cluster} has refcount ${stored}, and ${count} references`);
  });
  const canRepair = repairsLeaks && errors === 0;
  const leaksRepaired = canRepair && leaks > 0 ? lowerRefcounts(references, refcounts) : 0;
  if (leaksRepaired > 0) file.sync();
  if (canRepair && layout.isCorrupt) layout.clearCorrupt();
  return {
    problems,
    errors,
    leaks: leaks - leaksRepaired,
    leaksRepaired,
    isDirty: header.isDirty,
    isMarkedCorrupt: layout.isCorrupt,
    totalClusters: clustersOf(header),
    statistics: references.statistics,
    endOffset: references.end * layout.clusterBytes,
  };
}

/** Of an image whose refcounts cannot be found, so that nothing can be counted. */
function withoutTables(header: Qcow2Header, problem: string): CheckReport {
  return {
    problems: [problem],
    errors: 1,
    leaks: 0,
    leaksRepaired: 0,
    isDirty: header.isDirty,
    isMarkedCorrupt: header.isCorrupt,
    totalClusters: clustersOf(header),
    statistics: { allocated: 0, packed: 0, fragmented: 0 },
    endOffset: 0,
  };
}

function clustersOf({ sizeBytes, clusterBits }: Qcow2Header): number {
  return Math.ceil(sizeBytes / 2 ** clusterBits);
}

export function checkExitCode({ errors, leaks }: CheckReport): number {
  if (errors > 0) return CHECK_EXIT.errors;
  return leaks > 0 ? CHECK_EXIT.leaks : CHECK_EXIT.ok;
}
