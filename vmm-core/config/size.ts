/**
 * Sizes as written in launch.json and flags, and as shown to people. Those in vm.conf are vmd's: values.ts.
 */

const SIZE_PATTERN = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i;
const UNITS: Readonly<Record<string, number>> = {
  '': 2 ** 20,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** Bytes from "512M", "1.5G", "4096" or 4096 (both MiB). Undefined when it is not a size. */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value * 2 ** 20 : undefined;
  const match = SIZE_PATTERN.exec(value.trim());
  const unit = UNITS[match?.[2]?.toUpperCase() ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** "512 MiB", "1.5 GiB". */
export function formatSize(bytes: number): string {
  if (bytes >= 2 ** 40) return `${Number((bytes / 2 ** 40).toFixed(1))} TiB`;
  if (bytes >= 2 ** 30) return `${Number((bytes / 2 ** 30).toFixed(1))} GiB`;
  if (bytes >= 2 ** 20) return `${Number((bytes / 2 ** 20).toFixed(1))} MiB`;
  return `${Math.ceil(bytes / 1024)} KiB`;
}
