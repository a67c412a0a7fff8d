/** Disks and the CD-ROM. */
import type { DiskFormat } from '../configHost.ts';
import { pathOf, type DirectiveFindings, type Written, type WrittenValue } from '../directive.ts';
import { checkPath } from '../directiveChecks.ts';
import { valueFlag } from '../flags.ts';
import type { ConfigProblem } from '../rows.ts';
import { listFlag, listOf } from '../optionTable.ts';
import type { Setting, WrittenVm } from '../setting.ts';
import { path } from '../valueKinds.ts';
import { MAX_DISKS } from '../values.ts';
import {
  disk,
  DISK_BLOCK,
  DISK_FORMATS,
  DISK_TEXTS,
  type DiskConfig,
  diskFromBlock,
  diskFromFlag,
  formatOf,
  repeatedInBlock,
} from './diskOptions.ts';

/** vda to vdz. */
const MOST_DISKS = 26;
const SECTOR_BYTES = 512;
const CDROM_SECTOR_BYTES = 2048;

const DISK = { what: 'disk', mayBeDevice: true, ifMissing: 'disk-missing', isLookedFor: true } as const;
const CDROM = { what: 'cdrom', mayBeDevice: true, ifMissing: 'file-missing', isLookedFor: false } as const;

const list = listOf(disk, 'disks');

const flag = listFlag(
  {
    name: 'disk',
    placeholder: 'F[,OPTION]',
    text: 'a disk image; options are those of launch.json: format=qcow2, ro, cache=none, snapshot …',
  },
  diskFromFlag,
  disk,
);

export const disks = {
  value: list,
  isOptional: true,
  launch: {
    key: 'disks',
    default: undefined,
    missing: undefined,
    description: `Disks, in the order in which the guest finds them, at most ${MOST_DISKS}: paths of images or block devices, or objects with \`path\` and any of these. ${DISK_TEXTS}.`,
  },
  flag,
  vmConf: {
    directives: {
      disk: {
        block: 'vm',
        words: ['disk'],
        args: [
          { name: 'path', kind: 'string', means: 'ownFile' },
          { name: 'format', kind: 'string', isOptional: true, after: 'format', suggestions: DISK_FORMATS },
        ],
        opens: 'disk',
        form: '`disk` *path* [`format` (`raw` | `qcow2`)] [`{` … `}`]',
        snippet: ' "$1"',
        text: `A disk image, at most ${MAX_DISKS} for vmd and ${MOST_DISKS} for us. The file must exist. When its format is not given, vmd goes by the file's signature and we by its name: qcow2 when it ends in .qcow2, else raw; when the two differ the VM does not start until the format is given. Options of our own may follow in braces.`,
        isBootable: true,
        check: checkDisk,
      },
      ...DISK_BLOCK,
      allowDisk: {
        block: 'allow',
        words: ['disk'],
        args: [],
        form: '`disk`',
        text: 'Instances may have disks of their own.',
      },
    },
    isInherited: false,
    read: (vm) => {
      const found = vm.all('disk').flatMap((it) => writtenDisk(vm, it) ?? []);
      return found.length === 0 ? undefined : found;
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<readonly DiskConfig[]>;

export const cdrom = {
  value: path,
  isOptional: true,
  launch: {
    key: 'cdrom',
    default: undefined,
    missing: undefined,
    description:
      'An ISO image, in a CD-ROM drive: virtio-scsi, for which Linux has `virtio_scsi` and `sr_mod`. Clients count it as the last disk, and can change it.',
  },
  flag: valueFlag('cdrom', 'FILE', 'an ISO image, in a CD-ROM drive'),
  vmConf: {
    directives: {
      cdrom: {
        block: 'vm',
        words: ['cdrom'],
        args: [{ name: 'path', kind: 'string', means: 'path' }],
        form: '`cdrom` *path*',
        snippet: ' "$1"',
        text: 'An ISO image in a CD-ROM drive, on virtio-scsi, as in vmd.',
        isBootable: true,
        check: checkCdrom,
      },
      allowCdrom: {
        block: 'allow',
        words: ['cdrom'],
        args: [],
        form: '`cdrom`',
        text: 'Instances may choose the CD-ROM.',
      },
    },
    isInherited: true,
    read: (vm) => {
      const written = vm.last('cdrom')?.args['path'];
      return written === undefined || written.text === '' ? undefined : vm.path(written); // as vmd
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<string>;

interface Storage {
  readonly disks?: readonly DiskConfig[];
  readonly cdrom?: string;
}

/** What the rows cannot see one by one. */
export function storageProblem({ disks: found = [], cdrom: image }: Storage): ConfigProblem | undefined {
  const { key } = disks.launch;
  if (found.length > MOST_DISKS)
    return { key, message: `allows at most ${MOST_DISKS} disks: there are ${found.length}` };
  const all = image === undefined ? found : [...found, { path: image, readonly: true }];
  const shared = all.findIndex((it, i) => all.some((other, j) => j < i && areTwoWriters(it, other)));
  const name = JSON.stringify(all[shared]?.path);
  return shared < 0
    ? undefined
    : {
        key,
        message: `names ${name} twice, and the guest could write it: use a copy, or make both readonly`,
      };
}

function areTwoWriters(one: DiskConfig, other: DiskConfig): boolean {
  return one.path === other.path && !(isShareable(one) && isShareable(other));
}

function isShareable({ readonly, snapshot }: DiskConfig): boolean {
  return readonly === true || snapshot === true;
}

/** Undefined when its values are wrong, which has been reported. */
function writtenDisk(vm: WrittenVm, { args, items }: Written): DiskConfig | undefined {
  const { path: file, format } = args;
  const written = {
    path: file === undefined ? '' : vm.path(file),
    ...diskFromBlock(items),
    ...(format === undefined ? {} : { format: format.text.toLowerCase() }),
  };
  return disk.read(written, () => undefined);
}

function checkDisk({ args, items }: Written, findings: DirectiveFindings): void {
  const { path: file, format } = args;
  countDisk(findings);
  const wanted = DISK_FORMATS.find((it) => it === format?.text.toLowerCase());
  if (format !== undefined && wanted === undefined)
    findings.error('format', 'value', `"${format.text}" is not a disk format: write raw or qcow2`);
  const again = repeatedInBlock(items);
  if (again !== undefined)
    findings.error(undefined, 'repeated', `"${again}" is given more than once for this disk`);
  if (!checkPath(file, 'path', DISK, findings) || file === undefined) return;
  checkShared(file, items, findings);
  const isRight =
    format === undefined ? checkImpliedFormat(file, findings) : checkFormat(file, format.text, findings);
  if (isRight) checkSize(file, wanted ?? formatOf({ path: file.text }), findings);
}

function countDisk(findings: DirectiveFindings): void {
  const count = (findings.tally.get('disks') ?? 0) + 1;
  findings.tally.set('disks', count);
  if (count > MOST_DISKS) findings.error(undefined, 'value', `a VM can have at most ${MOST_DISKS} disks`);
  else if (count > MAX_DISKS)
    findings.hostError(undefined, 'value', `a VM can have at most ${MAX_DISKS} disks in OpenBSD's vmd`);
}

function checkShared(file: WrittenValue, items: readonly Written[], findings: DirectiveFindings): void {
  const options = diskFromBlock(items);
  const use = isShareable({ path: file.text, ...pick(options) }) ? 1 : 2;
  const key = `disk ${pathOf(file, findings.host)}`;
  const before = findings.tally.get(key) ?? 0;
  findings.tally.set(key, Math.max(before, use));
  if (before > 0 && Math.max(before, use) > 1)
    findings.warning('path', 'reused', `this VM has the disk "${file.text}" twice, and could write it`);
}

function pick(options: Readonly<Record<string, unknown>>): Pick<DiskConfig, 'readonly' | 'snapshot'> {
  return { readonly: options['readonly'] === true, snapshot: options['snapshot'] === true };
}

/** False: it has been reported. */
function checkFormat(file: WrittenValue, wanted: string, findings: DirectiveFindings): boolean {
  const actual = actualFormat(file, findings);
  if (actual === undefined || actual === wanted.toLowerCase()) return true;
  const message = `"${file.text}" is a ${actual} image, not ${wanted}`;
  findings.warning('format', 'disk-format', message, actual);
  return false;
}

/** See checkFormat. */
function checkImpliedFormat(file: WrittenValue, findings: DirectiveFindings): boolean {
  const actual = actualFormat(file, findings);
  const implied = formatOf({ path: file.text });
  if (actual === undefined || actual === implied) return true;
  const message = `"${file.text}" is a ${actual} image, which its name does not tell: add "format ${actual}"`;
  findings.warning('path', 'format-needed', message, actual);
  return false;
}

function actualFormat(file: WrittenValue, { host }: DirectiveFindings): DiskFormat | undefined {
  return host.diskFormat?.(pathOf(file, host));
}

function checkSize(file: WrittenValue, format: DiskFormat, findings: DirectiveFindings): void {
  if (format !== 'raw') return;
  const bytes = findings.host.sizeOf?.(pathOf(file, findings.host));
  if (bytes === undefined) return;
  const rule = `its size, ${bytes} bytes, is not a multiple of ${SECTOR_BYTES}`;
  if (bytes === 0) findings.warning('path', 'value', `"${file.text}" is empty: give it a size`);
  else if (bytes % SECTOR_BYTES !== 0)
    findings.warning('path', 'value', `"${file.text}" cannot be a disk: ${rule}`);
}

function checkCdrom({ args: { path: file } }: Written, findings: DirectiveFindings): void {
  const what = '"cdrom"';
  findings.once(what);
  if (file?.text === '') findings.tally.delete(what); // vmd goes by the name it has kept
  if (!checkPath(file, 'path', CDROM, findings) || file === undefined) return;
  const bytes = findings.host.sizeOf?.(pathOf(file, findings.host)) ?? 0;
  if (bytes % CDROM_SECTOR_BYTES === 0) return;
  const rule = `its size, ${bytes} bytes, is not a multiple of ${CDROM_SECTOR_BYTES}`;
  findings.warning('path', 'value', `"${file.text}" is not the image of a CD-ROM: ${rule}`);
}
