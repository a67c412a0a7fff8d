/** For the inspector: feature bits by the names of their table in abi/, which are the specification's. */
export function featureNames(
  table: Readonly<Record<string, unknown>>,
  prefix: string,
): Readonly<Record<number, string>> {
  const bits = Object.entries(table).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(bits.map(([name, bit]) => [Number(bit), name]));
}
