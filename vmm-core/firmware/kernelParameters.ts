/**
 * Devices that only ACPI tells of, on the command line of a Linux that was asked to leave ACPI alone. Other
 * kernels are not told more than they were given.
 */
import type { Board } from './contribution.ts';

const WITHOUT_ACPI = /(?:^|\s)acpi=(?:off|ht)(?:\s|$)/;

export function withKernelParameters(cmdline: string, { chips }: Board): string {
  if (!WITHOUT_ACPI.test(cmdline)) return cmdline;
  return [cmdline, ...chips.flatMap((chip) => chip.kernelParameters ?? [])].join(' ');
}
