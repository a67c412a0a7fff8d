/** Checks shared by several directives: of a path, a number, an interface's options. */
import { type DirectiveFindings, pathOf, type Written, type WrittenValue } from './directive.ts';
import type { ProblemCode } from './problemCode.ts';
import { byteLength, isGroupName, isNoLladdr, MAX_PATH_BYTES, parseLladdr } from './values.ts';

const MAX_RDOMAIN = 255;

/** A file that is read when the VM starts. */
export interface FileUse {
  /** What it is for, in words. */
  readonly what: string;
  readonly mayBeDevice: boolean;
  readonly ifMissing: ProblemCode;
  /** vmd -n checks that it exists; for other files only the length of the name. */
  readonly isLookedFor: boolean;
}

/** Whether it is usable, as far as we can tell. */
export function checkPath(
  value: WrittenValue | undefined,
  at: string,
  use: FileUse,
  findings: DirectiveFindings,
): boolean {
  if (value === undefined) return false;
  const { host } = findings;
  if (byteLength(value.text) > MAX_PATH_BYTES) {
    findings.error(at, 'too-long', `the path of the ${use.what} is longer than ${MAX_PATH_BYTES} bytes`);
    return false;
  }
  if (value.text === '' && use.isLookedFor) {
    findings.error(at, 'value', 'the path is empty: name a file');
    return false;
  }
  if (host.kindOf === undefined) return true;
  const absolute = pathOf(value, host);
  const kind = value.text === '' ? undefined : host.kindOf(absolute);
  if (kind === undefined) {
    const message = `there is no file "${value.text}"`;
    if (use.isLookedFor) findings.hostError(at, use.ifMissing, message, absolute);
    else findings.warning(at, use.ifMissing, message, absolute);
    return false;
  }
  if (kind === 'a file' || (use.mayBeDevice && kind === 'a block device')) return true;
  findings.warning(at, 'not-a-file', `"${value.text}" is ${kind}, not a file`); // vmd -n takes anything
  return false;
}

/** The check of a directive whose argument `path` is an image of that name. */
export function imageCheck(what: string, at = 'path') {
  const use: FileUse = { what, mayBeDevice: false, ifMissing: 'file-missing', isLookedFor: true };
  return ({ args }: Written, findings: DirectiveFindings): void =>
    void checkPath(args[at], at, use, findings);
}

/** Whether the number is given and in range. `what` begins a sentence. */
export function checkRange(
  value: WrittenValue | undefined,
  at: string,
  { min, max, what }: { readonly min: number; readonly max: number; readonly what: string },
  findings: DirectiveFindings,
): value is WrittenValue {
  if (value === undefined) return false;
  const isWithin = Number(value.text) >= min && Number(value.text) <= max;
  if (!isWithin) findings.error(at, 'value', `${what} must be ${min} to ${max}`);
  return isWithin;
}

export function checkGroup({ args: { group } }: Written, findings: DirectiveFindings): void {
  if (group === undefined || isGroupName(group.text)) return;
  const rule = 'at most 15 characters, not ending in a digit';
  findings.error('group', 'value', `"${group.text}" is not an interface group: ${rule}`);
}

export function checkRdomain({ args: { id } }: Written, findings: DirectiveFindings): void {
  if (id === undefined || (Number(id.text) >= 0 && Number(id.text) <= MAX_RDOMAIN)) return;
  findings.error('id', 'value', `a routing domain is a number from 0 to ${MAX_RDOMAIN}`);
}

export function checkLladdr({ args: { address } }: Written, findings: DirectiveFindings): void {
  if (address === undefined) return;
  const bytes = parseLladdr(address.text);
  if (bytes === undefined) {
    const message = `"${address.text}" is not an Ethernet address, such as fe:e1:bb:d1:00:01`;
    findings.error('address', 'value', message);
  } else if (!isNoLladdr(bytes) && ((bytes[0] ?? 0) & 1) === 1) {
    findings.warning('address', 'value', `${address.text} is a group address: the first byte must be even`);
  }
}
