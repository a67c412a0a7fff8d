/** The message for a key that is not a setting. */
import { nearest } from './nearest.ts';

/** Undefined when it is known. `where`: whose keys the others are. */
export function unknownKey(key: string, known: readonly string[], where = 'known are'): string | undefined {
  if (known.includes(key)) return undefined;
  const near = nearest(key, known);
  const hint = near === undefined ? `${where} ${known.join(', ')}` : `did you mean "${near}"?`;
  return `is not a known setting; ${hint}`;
}
