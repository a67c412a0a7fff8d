/** The kinds of values that several settings share. */
import type { Complain, ValueKind, ValueSchema } from './setting.ts';

/** Written the same way as it is stored. */
export function plain<T>(
  schema: ValueSchema,
  read: (written: unknown, complain: Complain) => T | undefined,
): ValueKind<T> {
  return { schema, read, check: read, print: (value) => value, resolve: (value) => value };
}

export const text: ValueKind<string> = plain({ type: 'string' }, (written, complain) => {
  if (typeof written !== 'string') return complain(`must be a string, not ${describe(written)}`);
  return written.includes('\0') ? complain('must not contain a NUL character') : written;
});

export const path: ValueKind<string> = { ...text, resolve: (value, absolute) => absolute(value) };

export const flag: ValueKind<boolean> = plain({ type: 'boolean' }, (written, complain) =>
  typeof written === 'boolean' ? written : complain(`must be true or false, not ${describe(written)}`),
);

export function choice<T extends string>(values: readonly T[]): ValueKind<T> {
  return plain({ type: 'string', enum: values }, (written, complain) => {
    const found = values.find((it) => it === written);
    return found ?? complain(`must be one of ${values.join(', ')}, not ${describe(written)}`);
  });
}

export function wholeNumber(minimum: number, maximum: number): ValueKind<number> {
  return plain({ type: 'integer', minimum, maximum }, (written, complain) => {
    const isWithin = Number.isInteger(written) && Number(written) >= minimum && Number(written) <= maximum;
    const message = `must be a whole number from ${minimum} to ${maximum}, not ${describe(written)}`;
    return isWithin ? Number(written) : complain(message);
  });
}

/** What neither launch.json nor a client can ask for yet. */
export function notYet<T>(): ValueKind<T> {
  return plain<T>({}, (_, complain) => complain('cannot be asked for here'));
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value of any kind, in a message. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isObject(value)) return 'an object';
  return typeof value === 'string' ? JSON.stringify(value) : String(value); // bigints and symbols are not JSON
}
