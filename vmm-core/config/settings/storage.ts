/** Disks and the CD-ROM. */
import { pathOf, type DirectiveFindings, type Written } from '../directive.ts';
import { checkPath } from '../directiveChecks.ts';
import type { Setting } from '../setting.ts';
import { notYet } from '../valueKinds.ts';
import { MAX_DISKS } from '../values.ts';

export interface DiskConfig {
  readonly path: string;
  /** Absent: by the file's signature. */
  readonly format?: DiskFormat;
}

const FORMATS = ['raw', 'qcow2'] as const;
type DiskFormat = (typeof FORMATS)[number];

const DISK = { what: 'disk', mayBeDevice: true, ifMissing: 'disk-missing', isLookedFor: true } as const;
const CDROM = { what: 'cdrom', mayBeDevice: true, ifMissing: 'file-missing', isLookedFor: false } as const;

export const disks = {
  value: notYet<readonly DiskConfig[]>(),
  isOptional: true,
  launch: undefined,
  flag: undefined,
  vmConf: {
    directives: {
      disk: {
        block: 'vm',
        words: ['disk'],
        args: [
          { name: 'path', kind: 'string', means: 'ownFile' },
          { name: 'format', kind: 'string', isOptional: true, after: 'format', suggestions: FORMATS },
        ],
        form: '`disk` *path* [`format` (`raw` | `qcow2`)]',
        snippet: ' "$1"',
        text: "A disk image, at most four. The file must exist. Its format is taken from the file's signature when not given.",
        isBootable: true,
        check: checkDisk,
      },
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
      const found = vm.all('disk').map(({ args: { path, format } }): DiskConfig => {
        const wanted = formatOf(format?.text);
        return {
          path: path === undefined ? '' : vm.path(path),
          ...(wanted === undefined ? {} : { format: wanted }),
        };
      });
      return found.length === 0 ? undefined : found;
    },
    unsupported: () => 'disk',
  },
} as const satisfies Setting<readonly DiskConfig[]>;

export const cdrom = {
  value: notYet<string>(),
  isOptional: true,
  launch: undefined,
  flag: undefined,
  vmConf: {
    directives: {
      cdrom: {
        block: 'vm',
        words: ['cdrom'],
        args: [{ name: 'path', kind: 'string', means: 'path' }],
        form: '`cdrom` *path*',
        snippet: ' "$1"',
        text: 'An ISO image in a read-only drive.',
        isBootable: true,
        check: ({ args: { path } }, findings) => {
          const what = '"cdrom"';
          findings.once(what);
          if (path?.text === '') findings.tally.delete(what); // vmd goes by the name it has kept
          checkPath(path, 'path', CDROM, findings);
        },
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
      const path = vm.last('cdrom')?.args['path'];
      return path === undefined ? undefined : vm.path(path);
    },
    unsupported: () => 'cdrom',
  },
} as const satisfies Setting<string>;

function formatOf(text: string | undefined): DiskFormat | undefined {
  return FORMATS.find((it) => it === text?.toLowerCase());
}

function checkDisk({ args: { path, format } }: Written, findings: DirectiveFindings): void {
  const count = (findings.tally.get('disks') ?? 0) + 1;
  findings.tally.set('disks', count);
  if (count > MAX_DISKS) findings.error(undefined, 'value', `a VM can have at most ${MAX_DISKS} disks`);
  const wanted = formatOf(format?.text);
  if (format !== undefined && wanted === undefined)
    findings.error('format', 'value', `"${format.text}" is not a disk format: write raw or qcow2`);
  if (!checkPath(path, 'path', DISK, findings) || path === undefined || format === undefined) return;
  const { host } = findings;
  const actual = host.diskFormat?.(pathOf(path, host));
  if (actual === undefined || actual === format.text.toLowerCase()) return;
  findings.warning(
    'format',
    'disk-format',
    `"${path.text}" is a ${actual} image, not ${format.text}`,
    actual,
  );
}
