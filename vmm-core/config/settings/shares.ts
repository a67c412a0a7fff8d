/** Folders of the host that the guest can mount. */
import { type DirectiveFindings, pathOf, type Written } from '../directive.ts';
import {
  described,
  type Described,
  fromFlag,
  listFlag,
  listOf,
  ON_OFF,
  type OptionRows,
  type OptionTable,
} from '../optionTable.ts';
import type { ConfigProblem } from '../rows.ts';
import type { Setting, WrittenVm } from '../setting.ts';
import { describe, flag, path, plain } from '../valueKinds.ts';

const MOST_SHARES = 8;
/** QEMU's limit, which guests' scripts know; no blanks or commas, which mount(8) would take for its own. */
const TAG = /^[A-Za-z0-9._/-]{1,31}$/;
const TAG_RULE = 'at most 31 letters, digits, ".", "-", "_" and "/"';
const DEFAULT_TAG = 'share';

const tag = plain<string>({ type: 'string', pattern: TAG.source }, (written, complain) =>
  typeof written === 'string' && TAG.test(written)
    ? written
    : complain(`must be ${TAG_RULE}, not ${describe(written)}`),
);

const OPTIONS = {
  tag: {
    value: tag,
    text: "what the guest mounts it by; the folder's name when not given",
    argument: { kind: 'word', form: ' *tag*' },
  },
  readonly: {
    value: flag,
    text: 'the guest cannot change anything in it (true)',
    argument: ON_OFF,
  },
} as const satisfies OptionRows;

const TABLE = {
  key: 'path',
  value: path,
  description: 'The folder.',
  missing: 'is required: a folder',
  form: 'a path or an object such as { "path": "rootfs", "tag": "root" }',
  options: OPTIONS,
  aliases: { ro: ['readonly', true], rw: ['readonly', false] },
} as const satisfies OptionTable<'path', string, OptionRows>;

/** Absent `readonly` means true; see tagOf. */
export type ShareConfig = Described<'path', string, typeof OPTIONS>;

const share = described(TABLE);

const shareFlag = listFlag(
  {
    name: 'share',
    placeholder: 'D[,OPTION]',
    text: 'a folder that the guest can mount by 9p, read-only; options: tag=NAME, rw',
  },
  (given, refuse) => fromFlag(TABLE, given, refuse),
  share,
);

/** Absent: there is none. */
export const shares = {
  value: listOf(share, 'folders', MOST_SHARES),
  isOptional: true,
  launch: {
    key: 'shares',
    default: undefined,
    missing: undefined,
    description: `Folders of the host that the guest can mount by 9p (Linux: \`mount -t 9p -o trans=virtio TAG /mnt\`), at most ${MOST_SHARES}: paths, or objects with \`path\`, \`tag\`, what the guest mounts it by (the folder's name when not given), and \`readonly\`, true unless you say otherwise.`,
  },
  flag: shareFlag,
  vmConf: {
    directives: {
      share: {
        block: 'vm',
        words: ['share'],
        args: [
          { name: 'path', kind: 'word', means: 'path' },
          { name: 'tag', kind: 'word', after: 'tag', isOptional: true },
          { name: 'access', kind: ['writable'], isOptional: true },
        ],
        isExtension: true,
        form: '`share` *path* [`tag` *tag*] [`writable`]',
        snippet: ' "$1"',
        text: `A folder that the guest can mount by 9p, at most ${MOST_SHARES}. It is mounted by its tag (${TAG_RULE}), which is the folder's name when not given. The guest cannot change anything in it unless it is \`writable\`.`,
        check: checkShare,
      },
    },
    isInherited: true,
    read: (vm) => {
      const found = vm.all('share').flatMap((it) => shareOf(vm, it));
      return found.length === 0 ? undefined : found;
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<readonly ShareConfig[]>;

/** What the guest mounts it by. */
export function tagOf({ path: folder, tag: given }: ShareConfig): string {
  const name = folder.split('/').findLast((it) => it !== '') ?? '';
  return given ?? (TAG.test(name) ? name : DEFAULT_TAG);
}

/** What the row cannot see of one. */
export function shareProblem({
  shares: all = [],
}: {
  readonly shares?: readonly ShareConfig[];
}): ConfigProblem | undefined {
  const again = all.find((it, i) => all.findIndex((other) => tagOf(other) === tagOf(it)) < i);
  return again === undefined
    ? undefined
    : { key: shares.launch.key, message: `has two folders with the tag ${tagOf(again)}: give one another` };
}

function shareOf(vm: WrittenVm, { args }: Written): ShareConfig[] {
  const { path: folder, tag: name, access } = args;
  if (folder === undefined) return [];
  return [
    {
      path: vm.path(folder),
      ...(name === undefined ? {} : { tag: name.text }),
      ...(access === undefined ? {} : { readonly: false }),
    },
  ];
}

function checkShare({ args: { path: folder, tag: name } }: Written, findings: DirectiveFindings): void {
  const count = (findings.tally.get('shares') ?? 0) + 1;
  findings.tally.set('shares', count);
  if (count > MOST_SHARES)
    findings.error(undefined, 'value', `a VM can have at most ${MOST_SHARES} shared folders`);
  if (name !== undefined)
    tag.read(name.text, (message) => void findings.error('tag', 'value', `the tag ${message}`));
  if (folder === undefined) return;
  const { host } = findings;
  if (folder.text === '') return findings.error('path', 'value', 'the path is empty: name a folder');
  const absolute = pathOf(folder, host);
  const own = tagOf({ path: absolute, ...(name === undefined ? {} : { tag: name.text }) });
  findings.once(`a folder with the tag ${own}`);
  const kind = host.kindOf?.(absolute);
  if (host.kindOf !== undefined && kind === undefined)
    findings.warning('path', 'file-missing', `there is no folder "${folder.text}"`, absolute);
  else if (kind !== undefined && kind !== 'a directory')
    findings.warning('path', 'not-a-file', `"${folder.text}" is ${kind}, not a folder`);
}
