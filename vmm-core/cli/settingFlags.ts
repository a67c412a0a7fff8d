/**
 * The flags of `vmm run` that describe the VM, from the rows of the settings: what node parses, the usage,
 * what launch.json would say.
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

/** A line for each, as the flag is written and what it does. */
export const SETTING_USAGE: readonly (readonly [string, string])[] = FLAGS.map((flag) => [
  writtenForm(flag),
  flag.text,
]);

/** Those that must be given, as the usage begins. */
export const REQUIRED_FLAGS = ROWS.flatMap(({ flag, launch }) =>
  flag === undefined || launch?.missing === undefined ? [] : [writtenForm(flag)],
).join(' ');

/** By the keys of launch.json. Throws UserError where a flag has something of its own to say. */
export function settingInput(values: Values): Record<string, unknown> {
  const entries = ROWS.flatMap(({ flag, launch }) =>
    flag === undefined || launch === undefined
      ? []
      : [[launch.key, flag.read(givenOf(values[flag.name]), refuse)] as const],
  );
  return Object.fromEntries(entries);
}

/** The flag for a key of launch.json. */
export function flagNamed(key: string): string {
  return `--${ROWS.find(({ launch }) => launch?.key === key)?.flag?.name ?? key}`;
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
