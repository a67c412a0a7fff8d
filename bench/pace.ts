/**
 * How fast the machine was on the day of a table, judged by the times of QEMU and gdb, which no change of
 * ours affects.
 */
import { summarize } from './statistics.ts';

/**
 * The median, over the rows that both tables have, of the peer's time in `now` to that in `before`.
 * Undefined: no such row.
 */
export function pace(before: string, now: string): number | undefined {
  const earlier = peerTimes(before);
  const ratios = [...peerTimes(now)].flatMap(([title, ms]) => {
    const then = earlier.get(title);
    return then === undefined ? [] : [ms / then];
  });
  return ratios.length === 0 ? undefined : summarize(ratios).median;
}

/** Milliseconds by the row's title. */
function peerTimes(table: string): Map<string, number> {
  const rows = table.matchAll(/^\| ([^|]+) \| [^|]+ \| (\d+(?:\.\d+)?) ms /gm);
  return new Map(Array.from(rows, ([, title = '', ms]) => [title, Number(ms)]));
}
