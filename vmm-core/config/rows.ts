/** What is done alike with every row of a table of settings. */
import type { Complain, Setting, ValueKind, ValueSchema } from './setting.ts';
import { unknownKey } from './unknownKey.ts';

export type Rows = Readonly<Record<string, Setting<unknown>>>;
export type Input = Readonly<Record<string, unknown>>;

/** The values of a table's rows, by name; optional ones are absent when not asked for. */
export type Values<R extends Rows> = {
  readonly [K in keyof R as R[K]['isOptional'] extends true ? never : K]: ValueOf<R[K]>;
} & {
  readonly [K in keyof R as R[K]['isOptional'] extends true ? K : never]?: ValueOf<R[K]>;
};

type ValueOf<Row> = Row extends { readonly value: ValueKind<infer T> } ? T : never;

/**
 * One thing wrong with a configuration: the key as the user wrote it, and a sentence that says what to do.
 */
export interface ConfigProblem {
  readonly key: string;
  readonly message: string;
}

/** An attribute of launch.json, with what the editor shows. */
export interface AttributeSchema extends ValueSchema {
  readonly markdownDescription: string;
}

/** The keys of launch.json. */
export function keysOf(rows: Rows): string[] {
  return Object.values(rows).flatMap(({ launch }) => (launch === undefined ? [] : [launch.key]));
}

/** The required ones. */
export function requiredKeysOf(rows: Rows): string[] {
  return keysOf(rows).filter((key) =>
    Object.values(rows).some(({ launch }) => launch?.key === key && launch.missing !== undefined),
  );
}

/** For the editor of launch.json. */
export function schemasOf(rows: Rows): Readonly<Record<string, AttributeSchema>> {
  const entries = Object.values(rows).flatMap(({ launch, value }): [string, AttributeSchema][] => {
    if (launch?.description === undefined) return [];
    const byDefault = launch.default === undefined ? {} : { default: launch.default };
    return [[launch.key, { ...value.schema, ...byDefault, markdownDescription: launch.description }]];
  });
  return Object.fromEntries(entries);
}

/**
 * From what a user wrote in launch.json. `null` counts as absent. Adds to `problems`; the result is valid
 * only if there are none.
 */
export function readRows<R extends Rows>(rows: R, input: Input, problems: ConfigProblem[]): Values<R> {
  return takeRows(rows, problems, {
    given: (key) => input[key],
    take: (value, written, complain) => value.read(written, complain),
  });
}

/** The same from what a client sent: the values themselves, by the rows' names. */
export function checkRows<R extends Rows>(rows: R, given: Input, problems: ConfigProblem[]): Values<R> {
  return takeRows(rows, problems, {
    given: (_, name) => given[name],
    take: (value, sent, complain) => value.check(sent, complain),
  });
}

/** In the form of launch.json, without what is absent. */
export function printRows(rows: Rows, values: Input): Record<string, unknown> {
  const entries = Object.entries(rows).flatMap(([name, { launch, value }]): [string, unknown][] =>
    launch === undefined || values[name] === undefined ? [] : [[launch.key, value.print(values[name])]],
  );
  return Object.fromEntries(entries);
}

/** With every path in it made absolute. */
export function resolveRows<R extends Rows>(
  rows: R,
  values: Values<R>,
  absolute: (path: string) => string,
): Values<R> {
  const given: Input = values;
  return valuesOf(rows, ({ value }, name) =>
    given[name] === undefined ? undefined : value.resolve(given[name], absolute),
  );
}

/** Complains of unknown keys. `where`: whose keys are known. */
export function checkKeys(
  input: Input,
  known: readonly string[],
  problems: ConfigProblem[],
  where?: string,
): void {
  for (const key of Object.keys(input)) {
    const message = unknownKey(key, known, where);
    if (message !== undefined) problems.push({ key, message });
  }
}

/**
 * One value for each row. The caller ensures that it has the row's type: this is where names meet types.
 */
export function valuesOf<R extends Rows>(
  rows: R,
  valueOf: (row: Setting<unknown>, name: string) => unknown,
): Values<R> {
  const entries = Object.entries(rows).flatMap(([name, row]) => {
    const value = valueOf(row, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries) as Values<R>;
}

interface Taking {
  /** What a row is given, by its key in launch.json and its name. */
  readonly given: (key: string, name: string) => unknown;
  readonly take: (value: ValueKind<unknown>, given: unknown, complain: Complain) => unknown;
}

function takeRows<R extends Rows>(rows: R, problems: ConfigProblem[], { given, take }: Taking): Values<R> {
  return valuesOf(rows, ({ launch, value }, name) => {
    if (launch === undefined) return undefined;
    const complain = complainer(launch.key, problems);
    const it = given(launch.key, name) ?? undefined;
    const found = it === undefined ? undefined : take(value, it, complain);
    if (launch.missing !== undefined && (it === undefined || found === '')) complain(launch.missing);
    return found ?? defaultOf(launch.default, value);
  });
}

function defaultOf(written: unknown, value: ValueKind<unknown>): unknown {
  return written === undefined ? undefined : value.read(written, () => undefined);
}

function complainer(key: string, problems: ConfigProblem[]): Complain {
  return (message, part = '') => void problems.push({ key: `${key}${part}`, message });
}
