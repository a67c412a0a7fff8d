/** The kinds of flags that several settings share. */
import type { Flag } from './setting.ts';

/** `--cmdline TEXT`: means what the same text does in launch.json, or what `read` makes of it. */
export function valueFlag(
  name: string,
  placeholder: string,
  text: string,
  read: (given: string) => unknown = (given) => given,
): Flag {
  return {
    ...{ name, placeholder, isRepeatable: false, text },
    read: ([given]) => (given === undefined ? undefined : read(given)),
  };
}

/** `--cpus N`: what is not a number stays text, for the message. */
export function numberFlag(name: string, placeholder: string, text: string): Flag {
  return valueFlag(name, placeholder, text, (given) => (/^[+-]?\d+$/.test(given) ? Number(given) : given));
}

/** `--debug-exit`: means one value when it is given, and the other when not. */
export function switchFlag<T>(name: string, text: string, values: { readonly on: T; readonly off: T }): Flag {
  return {
    ...{ name, placeholder: undefined, isRepeatable: false, text },
    read: (given) => (given.length > 0 ? values.on : values.off),
  };
}
