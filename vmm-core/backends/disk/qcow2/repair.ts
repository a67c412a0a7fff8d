/** Refcounts made right from what the tables refer to. */
import type { Layout } from './layout.ts';
import { References } from './references.ts';
import type { Refcounts } from './refcounts.ts';

/**
 * Of an image with the dirty bit, which is cleared at the end. Throws DiskError when its tables are broken:
 * then refcounts alone do not help.
 */
export function rebuildRefcounts(layout: Layout, refcounts: Refcounts): void {
  const report = (problem: string): never => {
    throw layout.corruption(problem);
  };
  const references = new References(layout, refcounts, { areCountsRight: false, report });
  references.collect();
  refcounts.startAllocatingAt(references.counts.length);
  references.counts.forEach((count, cluster) => {
    if (refcounts.get(cluster) === count) return;
    refcounts.cover(cluster);
    refcounts.set(cluster, count);
  });
  refcounts.write();
  layout.file.sync();
  layout.setDirty(false);
}

/** Lowers refcounts that are too high. Returns how many. */
export function lowerRefcounts(references: References, refcounts: Refcounts): number {
  let lowered = 0;
  references.counts.forEach((count, cluster) => {
    if (refcounts.get(cluster) <= count) return;
    refcounts.set(cluster, count);
    lowered++;
  });
  refcounts.write();
  return lowered;
}
