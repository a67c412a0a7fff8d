/**
 * Names for the values of one family of constants, for messages and dumps: `DW_TAG_array_type`, and
 * `DW_TAG_<0x99>` for a value that the table does not have. Where two names share a value the first wins,
 * which is the standard's own.
 */
export function nameTable(
  prefix: string,
  values: Readonly<Record<string, number>>,
): (value: number) => string {
  const names = new Map<number, string>();
  for (const [name, value] of Object.entries(values))
    if (!names.has(value)) names.set(value, `${prefix}_${name}`);
  return (value) => names.get(value) ?? `${prefix}_<0x${value.toString(16)}>`;
}
