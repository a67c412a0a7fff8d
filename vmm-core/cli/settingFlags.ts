/**
 * The flags of `vmm run` that describe the VM, from the rows of the settings: node's parser options, the
 * usage text, the values as in launch.json.
 */
import { SETTINGS } from '../config/settings.ts';
import type { Flag, Setting } from '../config/setting.ts';
import { UserError } from '../errors.ts';
import type { Options, Values } from './arguments.ts';

const ROWS: readonly Setting<unknown>[] = Object.values(SETTINGS);
const FLAGS: readonly Flag[] = ROWS.flatMap(({ flag }) => flag ?? []);

export const SETTING_OPTIONS: Options = Object.fromEntries(
  FLAGS.map(({ name, placeholder, isRepeatable }) => [
    name,
    placeholder === undefined ? { type: 'boolean' } : { type: 'string', multiple: isRepeatable },
  ]),
);

/** A line for each: how the flag is written and what it does. */
export const SETTING_USAGE: readonly (readonly [string, string])[] = FLAGS.map((flag) => [
  writtenForm(flag),
  flag.text,
]);

/** The required ones, for the first line of the usage. */
export const REQUIRED_FLAGS = ROWS.flatMap(({ flag, launch }) =>
  flag === undefined || launch?.missing === undefined ? [] : [writtenForm(flag)],
).join(' ');

/** By the keys of launch.json. Throws UserError when a flag's own check fails. */
export function settingInput(values: Values): Record<string, unknown> {
  const entries = ROWS.flatMap(({ flag, launch }) =>
    flag === undefined || launch === undefined
      ? []
      : [[launch.key, flag.read(givenOf(values[flag.name]), refuse)] as const],
  );
  return Object.fromEntries(entries);
}

/** The flag for a key of launch.json: `networks[1]` is `--net number 2`, `vsock.cid` is `--vsock: cid`. */
export function flagNamed(key: string): string {
  const [, setting = key, index, part] = /^(\w+)(?:\[(\d+)\])?(?:\.(.+))?$/.exec(key) ?? [];
  const name = ROWS.find(({ launch }) => launch?.key === setting)?.flag?.name ?? setting;
  const number = index === undefined ? '' : ` number ${Number(index) + 1}`;
  return `--${name}${number}${part === undefined ? '' : `: ${part}`}`;
}

function writtenForm({ name, placeholder }: Flag): string {
  return placeholder === undefined ? `--${name}` : `--${name} ${placeholder}`;
}

function givenOf(value: Values[string]): readonly string[] {
  if (value === undefined) return [];
  return [value].flat().map((it) => (typeof it === 'string' ? it : ''));
}

function refuse(sentence: string): never {
  throw new UserError(sentence);
}
