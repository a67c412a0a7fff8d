/** Numbers of repeated measurements. */

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
  return { median, min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN };
}

/** A B A B …: anything else the machine does disturbs both alike. The first, cold round is not counted. */
export async function alternate<K extends string>(
  rounds: number,
  measures: Readonly<Record<K, () => Promise<number>>>,
): Promise<Record<K, Summary>> {
  return mapValues(await alternateAll(rounds, measures), summarize);
}

/** The same for measurements that are not one number; returns all that count. */
export async function alternateAll<K extends string, T>(
  rounds: number,
  measures: Readonly<Record<K, () => Promise<T>>>,
): Promise<Record<K, readonly T[]>> {
  const values = mapValues(measures, (): T[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const name of namesOf(measures)) {
      const value = await measures[name]();
      if (round > 0) values[name].push(value);
    }
  }
  return values;
}

function mapValues<K extends string, T, U>(
  values: Readonly<Record<K, T>>,
  map: (value: T) => U,
): Record<K, U> {
  return Object.fromEntries(namesOf(values).map((name) => [name, map(values[name])])) as Record<K, U>;
}

function namesOf<K extends string>(values: Readonly<Record<K, unknown>>): K[] {
  return Object.keys(values) as K[];
}
