/**
 * A setting whose values have options of their own, a row each: a disk, a network interface, a shared folder.
 * The objects in launch.json, what follows a flag's first value and the block that may follow a directive of
 * vm.conf come from the rows.
 */
import type { ArgumentKind, Block, Directive, Meaning, Written, WrittenValue } from './directive.ts';
import type { Complain, Flag, ValueKind, ValueSchema } from './setting.ts';
import { unknownKey } from './unknownKey.ts';
import { describe, isObject } from './valueKinds.ts';

export interface OptionRow<T> {
  readonly value: ValueKind<T>;
  /** Continues "`name`: ". */
  readonly text: string;
  /** How vm.conf writes the value; undefined: not in the block. */
  readonly argument: BlockArgument | undefined;
  /** What users call it; absent: as the configuration does. */
  readonly key?: string;
  /** The value is a list: what users call one of them in a flag and in vm.conf, where each is given alone. */
  readonly one?: string;
  /** What vm.conf calls it; absent: as users do elsewhere. */
  readonly word?: string;
  /** What its name alone means as a flag and in vm.conf; absent: true. */
  readonly alone?: string;
}

export interface BlockArgument {
  readonly kind: ArgumentKind;
  /** As the manual writes what follows the name. */
  readonly form: string;
  readonly isOptional?: true;
  readonly means?: Meaning;
}

export type OptionRows = Readonly<Record<string, OptionRow<unknown>>>;
type ValueOf<Row> = Row extends { readonly value: ValueKind<infer T> } ? T : never;
export type OptionValues<O extends OptionRows> = { readonly [N in keyof O]?: ValueOf<O[N]> };

/** What the options are of: the one value that must be there, which alone may stand for the whole. */
export interface OptionTable<K extends string, T, O extends OptionRows> {
  readonly key: K;
  readonly value: ValueKind<T>;
  readonly description: string;
  /** The complaint when it is missing. */
  readonly missing: string;
  /** `a path or an object such as { "path": "root.qcow2" }`. */
  readonly form: string;
  readonly options: O;
  /** What a string alone means, as an object; absent: the value of `key`. */
  readonly ofText?: (text: string) => Input;
  /** Texts that the editor of a launch.json offers; others are possible. */
  readonly suggestions?: readonly string[];
  /** Short forms of options in a flag, as an object has them. */
  readonly aliases?: Readonly<Record<string, readonly [string, unknown]>>;
}

export type Described<K extends string, T, O extends OptionRows> = { readonly [N in K]: T } & OptionValues<O>;
type AnyTable = OptionTable<string, unknown, OptionRows>;
type Input = Readonly<Record<string, unknown>>;
type Row = readonly [name: string, key: string, row: OptionRow<unknown>];

const BOOLEANS = new Map([
  ['on', true],
  ['off', false],
  ['true', true],
  ['false', false],
]);
export const ON_OFF: BlockArgument = { kind: ['on', 'off'], form: ' [`on` | `off`]', isOptional: true };

/** By the names of the configuration, then the users'. In the order in which they are listed everywhere. */
function rowsOf({ options }: AnyTable): readonly Row[] {
  return Object.entries(options).map(([name, row]) => [name, row.key ?? name, row]);
}

/** For the description of the setting. */
export function optionTexts(table: AnyTable): string {
  return rowsOf(table)
    .map(([, key, { text }]) => `\`${key}\`: ${text}`)
    .join('. ');
}

/** The value that alone may stand for the whole, or an object. */
export function described<K extends string, T, O extends OptionRows>(
  table: OptionTable<K, T, O>,
): ValueKind<Described<K, T, O>> {
  type Value = Described<K, T, O>;
  return {
    schema: { anyOf: [...suggestionsOf(table), { type: shortType(table) }, schemaOf(table)] },
    read: (written, complain) => {
      const isShort = typeof written === (shortType(table) === 'string' ? 'string' : 'number');
      if (!isShort && !isObject(written)) return complain(`must be ${table.form}, not ${describe(written)}`);
      const given = isObject(written) ? written : ofShort(table, written);
      return takeParts(table, given, complain, 'read') as Value | undefined; // as the rows say
    },
    check: (value, complain) =>
      isObject(value)
        ? (takeParts(table, value, complain, 'check') as Value | undefined)
        : complain(`must be an object, not ${describe(value)}`),
    print: (value) => {
      const options = rowsOf(table).flatMap(([name, key, row]) => {
        const option: unknown = Reflect.get(value, name);
        return option === undefined ? [] : [[key, row.value.print(option)] as const];
      });
      const first = table.value.print(value[table.key]);
      return options.length === 0 ? first : { [table.key]: first, ...Object.fromEntries(options) };
    },
    resolve: (value, absolute) => {
      const options = rowsOf(table).flatMap(([name, , row]) => {
        const option: unknown = Reflect.get(value, name);
        return option === undefined ? [] : [[name, row.value.resolve(option, absolute)] as const];
      });
      const first = { [table.key]: table.value.resolve(value[table.key], absolute) };
      return { ...first, ...Object.fromEntries(options) } as Value;
    },
  };
}

function suggestionsOf({ suggestions }: AnyTable): ValueSchema[] {
  return suggestions === undefined ? [] : [{ type: 'string', enum: suggestions }];
}

function shortType({ value }: AnyTable): 'string' | 'integer' {
  return value.schema.type === 'integer' ? 'integer' : 'string';
}

function ofShort({ key, ofText }: AnyTable, written: unknown): Input {
  return typeof written === 'string' && ofText !== undefined ? ofText(written) : { [key]: written };
}

function schemaOf(table: AnyTable): ValueSchema {
  const options = rowsOf(table).map(
    ([, key, { value, text }]) => [key, { ...value.schema, description: sentence(text) }] as const,
  );
  return {
    type: 'object',
    properties: {
      [table.key]: { ...table.value.schema, description: table.description },
      ...Object.fromEntries(options),
    },
    required: [table.key],
    additionalProperties: false,
  };
}

/** What a user wrote has the users' names, what a client sent the configuration's. */
function takeParts(
  table: AnyTable,
  given: Input,
  complain: Complain,
  how: 'read' | 'check',
): Input | undefined {
  let isGood = true;
  const complainOf =
    (part: string): Complain =>
    (message, inside = '') => {
      isGood = false;
      return complain(message, `.${part}${inside}`);
    };
  const rows = rowsOf(table).map(
    ([name, key, { value }]) => [name, how === 'read' ? key : name, value] as const,
  );
  const known = [table.key, ...rows.map(([, key]) => key)];
  for (const key of Object.keys(given)) {
    const message = unknownKey(key, known);
    if (message !== undefined) complainOf(key)(message);
  }
  const options = rows.flatMap(([name, key, value]) => {
    const it = given[key] ?? undefined;
    const found = it === undefined ? undefined : value[how](it, complainOf(key));
    return found === undefined ? [] : [[name, found] as const];
  });
  const written = given[table.key] ?? '';
  if (written === '') complainOf(table.key)(table.missing);
  const first = written === '' ? undefined : table.value[how](written, complainOf(table.key));
  return isGood && first !== undefined ? { [table.key]: first, ...Object.fromEntries(options) } : undefined;
}

/** A list of them. `what`: "disks". */
export function listOf<T>(item: ValueKind<T>, what: string, most = Infinity): ValueKind<readonly T[]> {
  const each = (written: unknown, complain: Complain, how: 'read' | 'check'): readonly T[] | undefined => {
    if (!Array.isArray(written)) return complain(`must be a list of ${what}, not ${describe(written)}`);
    if (written.length > most) return complain(`can be at most ${most}, not ${written.length}`);
    const found = written.flatMap(
      (it, i) => item[how](it, (message, part = '') => complain(message, `[${i}]${part}`)) ?? [],
    );
    return found.length === 0 ? undefined : found;
  };
  return {
    schema: { type: 'array', items: item.schema },
    read: (written, complain) => each(written, complain, 'read'),
    check: (value, complain) => each(value, complain, 'check'),
    print: (value) => value.map((it) => item.print(it)),
    resolve: (value, absolute) => value.map((it) => item.resolve(it, absolute)),
  };
}

/**
 * `root.img,format=raw,readonly`, as launch.json has it; a comma in a value is written twice. `refuse`
 * throws: an option is empty, or there twice.
 */
export function fromFlag(
  table: AnyTable,
  text: string,
  refuse: (message: string) => void,
): Record<string, unknown> {
  const [first = '', ...options] = text.replaceAll(',,', '\0').split(',');
  const whole = first.replaceAll('\0', ',');
  const result: Record<string, unknown> = { ...ofShort(table, numberIn(table, whole)) };
  for (const it of options) {
    const [name = '', ...rest] = it.split('=');
    if (name === '') refuse(`an option is empty; a comma in a value is written twice`);
    const one = rowsOf(table).find(([, key]) => key === name)?.[2].one;
    if (one !== undefined && one !== name) refuse(`write ${one}=…, once for each, not ${name}`);
    const value = rest.length === 0 ? undefined : rest.join('=').replaceAll('\0', ',');
    const alias = value === undefined ? table.aliases?.[name] : undefined;
    const [key, meant, isOneOfMany] =
      alias === undefined ? inLaunchForm(table, name, value) : [...alias, false];
    const before = result[key];
    if (isOneOfMany) result[key] = appended(before, meant);
    else if (before !== undefined) refuse(`${key} is given more than once`);
    else result[key] = meant;
  }
  return result;
}

/** See Flag. */
interface FlagWords {
  readonly name: string;
  readonly placeholder: string;
  readonly text: string;
}

/** A flag given once for each of them: `read` makes of it what launch.json has, `value` checks that. */
export function listFlag(
  flag: FlagWords,
  read: (text: string, refuse: (message: string) => void) => Record<string, unknown>,
  value: ValueKind<unknown>,
): Flag {
  return {
    ...flag,
    isRepeatable: true,
    read: (given, refuse) => {
      const found = given.map((it) => {
        const written = read(it, (message) => refuse(`--${flag.name} ${it}: ${message}`));
        value.read(written, (message, part = '') =>
          refuse(`--${flag.name} ${it}: ${part === '' ? '' : `${part.slice(1)} `}${message}`),
        );
        return written;
      });
      return found.length === 0 ? undefined : found;
    },
  };
}

/** What the flag begins with. */
function numberIn(table: AnyTable, text: string): unknown {
  return shortType(table) === 'integer' && /^\d+$/.test(text) ? Number(text) : text;
}

/** Directives of the block that follows, by ids that begin with the block's name. */
export function blockOf(table: AnyTable, block: Block): Readonly<Record<string, Directive>> {
  return Object.fromEntries(
    rowsOf(table).flatMap(([name, key, row]) =>
      row.argument === undefined ? [] : [[blockId(block, name), blockDirective(table, block, key, row)]],
    ),
  );
}

/**
 * What the directives of a block say, as the object that launch.json would have. `absolute`: what makes paths
 * of the block so, if there can be any.
 */
export function fromBlock(
  table: AnyTable,
  block: Block,
  items: readonly Written[],
  absolute: (value: WrittenValue) => string = ({ text }) => text,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const { id, args } of items) {
    const [, known, row] = rowsOf(table).find(([name]) => blockId(block, name) === id) ?? [];
    if (known === undefined) continue;
    const given = args['value'];
    const isPath = given !== undefined && row?.argument?.means === 'path';
    const text = isPath ? absolute(given) : given?.text;
    const [key, value, isOneOfMany] = inLaunchForm(table, row?.one ?? known, text);
    result[key] = isOneOfMany ? appended(result[key], value) : value;
  }
  return result;
}

/** An option that may be there once and is there again, as vm.conf writes it. */
export function givenAgain(table: AnyTable, block: Block, items: readonly Written[]): string | undefined {
  const again = items.find(({ id }, i) => items.findIndex((it) => it.id === id) < i);
  const [, key, row] = rowsOf(table).find(([name]) => blockId(block, name) === again?.id) ?? [];
  return row?.one === undefined ? (row?.word ?? key) : undefined;
}

export function blockId(block: Block, name: string): string {
  return `${block}${capitalized(name)}`;
}

function blockDirective(
  table: AnyTable,
  block: Block,
  key: string,
  { argument, value, text, one = key, word = one }: OptionRow<unknown>,
): Directive {
  const { kind = 'word', form = '', isOptional, means } = argument ?? {};
  const given = { name: 'value', kind, ...(means === undefined ? {} : { means }) };
  return {
    block,
    words: word.split(' '),
    args: [isOptional === true ? { ...given, isOptional } : given],
    isExtension: true,
    form: `\`${word}\`${form}`,
    text: sentence(text),
    check: (written, findings) => {
      const it = fromBlock(table, block, [written])[key];
      value.read(it, (message) => void findings.error('value', 'value', `"${word}" ${message}`));
    },
  };
}

/** A value that was text, as JSON would have it; what does not fit stays text, for the message. */
function inLaunchForm(
  table: AnyTable,
  name: string,
  text: string | undefined,
): [key: string, value: unknown, isOneOfMany: boolean] {
  const [, key = name, row] = rowsOf(table).find(([, it, { one = it }]) => one === name) ?? [];
  const isOneOfMany = row?.one !== undefined;
  if (text === undefined) return [key, row?.alone ?? true, isOneOfMany];
  const type = row?.value.schema.type;
  if (type === 'boolean' && BOOLEANS.has(text)) return [key, BOOLEANS.get(text), isOneOfMany];
  return [key, type === 'integer' && /^\d+$/.test(text) ? Number(text) : text, isOneOfMany];
}

function appended(list: unknown, value: unknown): unknown[] {
  return Array.isArray(list) ? list.concat([value]) : [value];
}

function sentence(text: string): string {
  return `${capitalized(text)}.`;
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
