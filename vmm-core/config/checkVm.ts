/** Value rules inside one `vm` block. */
import { checkForward, checkInterfaceOption, checkOwner, type Findings } from './checkStatement.ts';
import { byteLength } from './sourceFile.ts';
import { span, type DirectiveNode, type ValueNode, vmName } from './syntaxTree.ts';
import { unsupportedPart, unsupportedSentence } from './unsupported.ts';
import {
  isInterfaceName,
  isVmName,
  MAX_DISKS,
  MAX_INTERFACES,
  MAX_MEMORY,
  MAX_NAME_BYTES,
  MAX_PATH_BYTES,
  MIN_MEMORY,
  scanScaled,
} from './values.ts';
import { MAX_CPUS } from './vmConfig.ts';

const ONCE: ReadonlySet<string> = new Set([
  'cpus',
  'firmware',
  'initrd',
  'cmdline',
  'protocol',
  'vsock',
  'gdbSocket',
  'reset',
]);
const MAX_VSOCK_CID = 4294967294;

/** What has been seen of the VM so far. */
interface Tally {
  disks: number;
  interfaces: number;
  /** The last `interfaces` that was not 0. */
  minimum: number;
  readonly seen: Set<string>;
}

export function checkVm(node: DirectiveNode, findings: Findings): void {
  checkNames(node, findings);
  const tally: Tally = { disks: 0, interfaces: 0, minimum: 0, seen: new Set() };
  for (const item of node.items) {
    checkOption(item, tally, findings);
    checkSupported(item, node, findings);
  }
  if (node.args['instance'] === undefined) checkBootable(node, findings);
}

/** Of the language, but not of this machine: vmd has them all. */
function checkSupported(item: DirectiveNode, vm: DirectiveNode, findings: Findings): void {
  const part = findings.dialect === 'vmd' ? undefined : unsupportedPart(item);
  if (part === undefined) return;
  findings.warning(item.words, 'not-supported', unsupportedSentence(vmName(vm)?.text ?? '', [part]));
}

function checkNames({ args }: DirectiveNode, findings: Findings): void {
  const { name, instance } = args;
  for (const value of [name, instance]) {
    if (value === undefined) continue;
    if (byteLength(value.text) > MAX_NAME_BYTES) {
      findings.error(value, 'too-long', `a VM's name must be shorter than ${MAX_NAME_BYTES + 1} bytes`);
    } else if (!isVmName(value.text)) {
      const rule = 'letters, digits, ".", "-" and "_", beginning with a letter or digit';
      findings.loadError(value, 'vm-name', `"${value.text}" cannot name a VM: a name has ${rule}`);
    } else if (value.tokens.length > 1) {
      findings.warning(
        value,
        'quotes-needed',
        `these words together name the VM "${value.text}"`,
        value.text,
      );
    }
  }
}

function checkBootable(node: DirectiveNode, findings: Findings): void {
  const bootable = ['boot', 'kernel', 'disk', 'cdrom', 'firmware'];
  if (node.items.length === 0 || node.items.some((it) => bootable.includes(it.id))) return;
  const name = node.args['name'];
  findings.loadError(
    name ?? node.words,
    'no-boot',
    `VM "${name?.text ?? ''}" has nothing to boot: give it a disk, a cdrom or a kernel`,
  );
}

function checkOption(item: DirectiveNode, tally: Tally, findings: Findings): void {
  const { args } = item;
  if (ONCE.has(item.id)) once(item, tally, findings);
  switch (item.id) {
    case 'memory':
      once(item, tally, findings);
      if (args['size'] !== undefined) checkMemory(args['size'], findings);
      break;
    case 'cpus':
      checkCpus(args['count'], findings);
      break;
    case 'disk':
      checkDisk(item, tally, findings);
      break;
    case 'cdrom':
      once(item, tally, findings);
      if (args['path']?.text === '') tally.seen.delete('cdrom'); // vmd goes by the name it has kept
      checkPath(args['path'], 'cdrom', findings);
      break;
    case 'boot':
    case 'kernel':
      once(item, tally, findings, 'kernel');
      checkPath(args['path'], item.id, findings);
      break;
    case 'initrd':
      checkPath(args['path'], 'initrd', findings);
      break;
    case 'firmware':
      if (args['image']?.text !== 'bios' && args['image']?.text !== 'uefi')
        checkPath(args['image'], 'firmware', findings);
      break;
    case 'interfaces':
      checkInterfaces(item, tally, findings);
      break;
    case 'interface':
    case 'localInterface':
      countInterface(item, tally, findings);
      checkInterface(item, findings);
      break;
    case 'networkUser':
      countInterface(item, tally, findings);
      for (const forward of item.items) checkForward(forward, findings);
      break;
    case 'owner':
      checkOwner(args['owner'], findings);
      break;
    case 'allowInstance':
      for (const allowed of item.items)
        if (allowed.id === 'allowOwner') checkOwner(allowed.args['owner'], findings);
      break;
    case 'serial':
      checkSerial(item, tally, findings);
      break;
    case 'vsock':
      checkRange(args['cid'], 3, MAX_VSOCK_CID, 'the vsock cid', findings);
      break;
    default:
      break;
  }
}

function once(item: DirectiveNode, tally: Tally, findings: Findings, key: string = item.id): void {
  if (tally.seen.has(key)) {
    const what = key === 'kernel' ? 'a kernel' : `"${item.words.map((it) => it.text).join(' ')}"`;
    findings.error(item.words, 'repeated', `${what} is given more than once`);
  }
  tally.seen.add(key);
}

function checkMemory(size: ValueNode, findings: Findings): void {
  const bytes = size.isNumber ? BigInt(size.text) : scanScaled(size.text);
  if (bytes === undefined) {
    const meant = /^(\d+(?:\.\d+)?[KMGT])i?B$/i.exec(size.text)?.[1];
    const rule = 'write a number and one of B K M G T P E';
    const message = `"${size.text}" is not a size: ${rule}, such as ${meant ?? '512M'}`;
    return findings.error(size, 'value', message, meant);
  }
  if (bytes < MIN_MEMORY) {
    const subject = size.isNumber && bytes > 0n ? `${size.text}M` : undefined;
    const hint = subject === undefined ? '' : `; did you mean ${subject}?`;
    const message = `a VM needs at least one megabyte of memory, "${size.text}" is less${hint}`;
    return findings.error(size, 'value', message, subject);
  }
  if (bytes > MAX_MEMORY) return findings.error(size, 'value', 'a VM can have at most 128G of memory');
  if (bytes % MIN_MEMORY !== 0n) {
    findings.warning(
      size,
      'rounded',
      `"${size.text}" is rounded down to ${bytes / MIN_MEMORY}M`,
      `${bytes / MIN_MEMORY}M`,
    );
  }
  const { memoryBytes } = findings.host;
  if (memoryBytes !== undefined && Number(bytes) > memoryBytes) {
    const has = `${Math.floor(memoryBytes / 2 ** 20)}M`;
    findings.warning(size, 'host', `this machine has ${has} of memory, less than "${size.text}"`);
  }
}

function checkCpus(count: ValueNode | undefined, findings: Findings): void {
  if (!checkRange(count, 1, MAX_CPUS, 'the number of CPUs', findings) || count === undefined) return;
  const { cpus } = findings.host;
  if (cpus !== undefined && Number(count.text) > cpus) {
    findings.warning(count, 'host', `this machine has ${cpus} CPUs, fewer than ${count.text}`);
  }
}

function checkRange(
  value: ValueNode | undefined,
  min: number,
  max: number,
  what: string,
  findings: Findings,
): boolean {
  if (value === undefined) return false;
  const isWithin = Number(value.text) >= min && Number(value.text) <= max;
  if (!isWithin) findings.error(value, 'value', `${what} must be ${min} to ${max}`);
  return isWithin;
}

function checkDisk(item: DirectiveNode, tally: Tally, findings: Findings): void {
  const { path, format } = item.args;
  tally.disks++;
  if (tally.disks > MAX_DISKS)
    findings.error(item.words, 'value', `a VM can have at most ${MAX_DISKS} disks`);
  const wanted = format?.text.toLowerCase();
  if (format !== undefined && wanted !== 'raw' && wanted !== 'qcow2') {
    findings.error(format, 'value', `"${format.text}" is not a disk format: write raw or qcow2`);
  }
  if (path === undefined || !checkPath(path, 'disk', findings)) return;
  const { host } = findings;
  const actual = host.diskFormat?.(host.resolve(path.text, span(path).file.path));
  if (format === undefined || actual === undefined || actual === wanted) return;
  findings.warning(format, 'disk-format', `"${path.text}" is a ${actual} image, not ${format.text}`, actual);
}

/** Whether the path can be used. vmd -n looks for boot and disk images, but for a cdrom only at the length of its name. */
function checkPath(path: ValueNode | undefined, what: string, findings: Findings): boolean {
  if (path === undefined) return false;
  const { host } = findings;
  if (byteLength(path.text) > MAX_PATH_BYTES) {
    findings.error(path, 'too-long', `the path of the ${what} is longer than ${MAX_PATH_BYTES} bytes`);
    return false;
  }
  if (host.kindOf === undefined) return true;
  const absolute = host.resolve(path.text, span(path).file.path);
  const kind = path.text === '' ? undefined : host.kindOf(absolute);
  if (kind !== undefined) return checkKind(path, kind, what, findings);
  const message = `there is no file "${path.text}"`;
  const code = what === 'disk' ? 'disk-missing' : 'file-missing';
  if (what === 'cdrom') findings.warning(path, code, message, absolute);
  else findings.hostError(path, code, message, absolute);
  return false;
}

/** vmd -n looks only whether there is something. Disks may be devices. */
function checkKind(path: ValueNode, kind: string, what: string, findings: Findings): boolean {
  if (kind === 'a file' || ((what === 'disk' || what === 'cdrom') && kind === 'a block device')) return true;
  findings.warning(path, 'not-a-file', `"${path.text}" is ${kind}, not a file`);
  return false;
}

function checkInterfaces(item: DirectiveNode, tally: Tally, findings: Findings): void {
  const { count } = item.args;
  if (count === undefined) return;
  if (tally.minimum !== 0) findings.error(item.words, 'repeated', '"interfaces" is given more than once');
  else if (checkRange(count, 0, MAX_INTERFACES, 'the number of interfaces', findings))
    tally.minimum = Number(count.text);
}

function countInterface(item: DirectiveNode, tally: Tally, findings: Findings): void {
  tally.interfaces++;
  if (tally.interfaces > MAX_INTERFACES) {
    findings.error(item.words, 'value', `a VM can have at most ${MAX_INTERFACES} interfaces`);
  }
}

function checkInterface(item: DirectiveNode, findings: Findings): void {
  const { tap } = item.args;
  if (tap !== undefined && tap.text !== 'tap' && !isInterfaceName(tap.text, ['tap'])) {
    findings.error(
      tap,
      'value',
      `"${tap.text}" is not a tap interface: write tap or, for a certain one, tap0`,
    );
  }
  for (const option of item.items) {
    checkInterfaceOption(option, findings);
    const name = option.args['name'];
    if (name !== undefined && byteLength(name.text) > MAX_NAME_BYTES) {
      findings.error(name, 'too-long', `the switch's name is longer than ${MAX_NAME_BYTES} bytes`);
    }
  }
}

function checkSerial(item: DirectiveNode, tally: Tally, findings: Findings): void {
  const { target, path, port } = item.args;
  const key = `serial ${port?.text ?? 'com1'}`;
  if (tally.seen.has(key))
    findings.error(item.words, 'repeated', `${port?.text ?? 'com1'} is given more than once`);
  tally.seen.add(key);
  const needsPath = target?.text === 'file' || target?.text === 'unix';
  if (needsPath && path === undefined)
    findings.error(target, 'missing', `a path must follow "${target.text}"`);
  if (!needsPath && path !== undefined)
    findings.error(path, 'value', `no path may follow "${target?.text ?? ''}"`);
}
