/** directives.ts as people read it: hover text, docs/vm.conf.md and the man page vm.conf(5). */
import { type Block, BLOCKS } from '../config/directive.ts';
import { directive, type DirectiveId, directivesOf } from './directives.ts';

export const MANUAL_FILE = 'docs/vm.conf.md';

/** Markdown for an editor. */
export function hoverText(id: DirectiveId): string {
  const { form, text, isExtension } = directive(id);
  const note = isExtension ? "\n\n_An extension: OpenBSD's vmd does not know it._" : '';
  return `${form}\n\n${text}${note}`;
}

interface Section {
  readonly title: string;
  readonly paragraphs: readonly string[];
  readonly blocks?: readonly Block[];
}

const JSON_NOTE =
  'With `--json` the answer is one object on standard output: `ok`; `problems`, each with `severity` (`error` or `warning`), `code`, `message`, `file`, `line` and `column`, both counted from 1; and `vms`, empty when there are errors, each with the settings that `vmm run` would use (`name`, `kernel`, `memoryBytes`, `cpus`, `disks` …), `isDisabled`, `instanceOf`, `owner` and `unsupported`, which names what this VMM cannot do yet.';

const SECTIONS: readonly Section[] = [
  {
    title: 'The file',
    paragraphs: [
      '`vm.conf` describes virtual machines in the language of OpenBSD’s vmd(8), with some settings of our own that are marked below. A file without them means the same to both.',
      'A line is one statement; a block is in braces. A comment begins with `#` and ends with its line. A backslash at the end of a line joins it with the next, in comments too. Lines end in LF.',
      'Values are words or strings in `"` or `\'`. A word begins with a letter, a digit, `:`, `_` or `/`; any other value, and one with blanks or one of `(){}!=#,`, must be quoted. In a string a backslash is removed only before the same quote, a blank and the end of a line. Consecutive strings and words are concatenated: `"a" \'b\'` is `ab`. A number is digits alone, and not a name unless quoted. Words that this manual sets like `these` are reserved and must be quoted to be used as names; the words of our own settings are not.',
    ],
  },
  { title: 'At top level', paragraphs: [], blocks: ['file'] },
  {
    title: 'Options of a switch',
    paragraphs: ['Every option but the first ends with its line.'],
    blocks: ['switch'],
  },
  {
    title: 'Options of a VM',
    paragraphs: ['Every option but the first ends with its line.'],
    blocks: ['vm'],
  },
  { title: 'Options of an interface', paragraphs: [], blocks: ['interface'] },
  { title: 'What instances may choose', paragraphs: ['After `allow instance`.'], blocks: ['allow'] },
  {
    title: 'Options of a network',
    paragraphs: [
      'In the braces of `network`. `forward`, `guest forward` and what DHCP, DNS, TFTP and HTTP are told are of `network user`.',
    ],
    blocks: ['network'],
  },
  { title: 'Options of a disk', paragraphs: ['In the braces of `disk`.'], blocks: ['disk'] },
  { title: 'Debugging', paragraphs: ['After `debug`.'], blocks: ['debug'] },
  {
    title: 'Commands',
    paragraphs: [
      '`vmm load -n` *file* checks a file and prints every error as `file:line:column: message`; `-D` *name*`=`*value* defines a macro. `vmm run -f` *file* *name* boots a VM. `vmm fmt` *file* lays a file out, `vmm fmt --check` only names files that would change. `vmm lsp` serves editors: in VS Code nothing needs to be set up, others start it as the language server of `vm.conf` and `*.vm.conf`.',
      JSON_NOTE,
      'What this VMM cannot do yet (firmware, for example) may be written all the same: `vmm load -n` warns of each place, editors remark on it, and `vmm run` refuses the VM with the same sentence.',
    ],
  },
  {
    title: 'Limits',
    paragraphs: [
      'Only regular files are read, and none beyond 16 MiB: a FIFO, a device or a directory where a file is expected is reported. A configuration may include 10 000 files, 100 deep, and 4 MiB in all, each as often as it is included; the rest is left out, and reported at the `include` of the first file. Editors get the first 1000 problems in a file, errors first. `vmm fmt` writes a new file next to the old one and renames it into place, so that a full disk loses nothing; owner and mode stay, a hard link does not.',
    ],
  },
  {
    title: 'Where it differs from vmd',
    paragraphs: [
      '`vmm load -n --openbsd` refuses exactly what `vmd -n` refuses. Without `--openbsd` it knows the extensions; what vmd refuses only when it loads the file for real (a VM with nothing to boot, an instance of a VM that is declared later, a name in use, a tap in use) is an error at once; and files, users and groups that are missing on this machine are warnings, because files are often written on one machine for another. Relative paths start from the directory of the file that names them, with `--openbsd` from the working directory.',
    ],
  },
];

export const MANUAL_EXAMPLE = `kernel = "/srv/kernels/kernel.elf"

switch "uplink" {
	interface bridge0
}

vm "guest" {
	memory 1G
	cpus 2
	kernel $kernel
	serial com1 terminal
	interface { switch "uplink" }
	debug exit
}
`;

export function manualMarkdown(): string {
  const sections = SECTIONS.map(({ title, paragraphs, blocks = [] }) =>
    [`## ${title}`, ...paragraphs, ...blocks.flatMap((block) => directivesOf(block).map(markdownEntry))].join(
      '\n\n',
    ),
  );
  const head =
    '# vm.conf\n\n<!-- Made from vmm-core/vmConf/directives.ts: UPDATE_GOLDEN=1 node --import tsx --test vmm-core/vmConf/documentation.test.ts -->';
  return `${[head, ...sections, `## Example\n\n\`\`\`\n${MANUAL_EXAMPLE}\`\`\``].join('\n\n')}\n`;
}

function markdownEntry(id: DirectiveId): string {
  const { form, text, isExtension } = directive(id);
  return `- ${form}${isExtension ? ' (extension)' : ''}\\\n  ${text}`;
}

/** mdoc(7) source. */
export function manualPage(): string {
  const lines = [
    '.Dd $Mdocdate$',
    '.Dt VM.CONF 5',
    '.Os',
    '.Sh NAME',
    '.Nm vm.conf',
    '.Nd virtual machine configuration',
  ];
  for (const { title, paragraphs, blocks = [] } of SECTIONS) {
    lines.push(`.Sh ${title === 'The file' ? 'DESCRIPTION' : title.toUpperCase()}`);
    paragraphs.forEach((it, i) => lines.push(...(i > 0 ? ['.Pp'] : []), ...roff(it)));
    for (const block of blocks) lines.push(...manualList(block));
  }
  const example = MANUAL_EXAMPLE.trimEnd().split('\n').map(escapeRoff);
  lines.push('.Sh EXAMPLES', '.Bd -literal', ...example, '.Ed');
  return `${lines.join('\n')}\n`;
}

function manualList(block: Block): string[] {
  const items = directivesOf(block).flatMap((id) => {
    const { form, text, isExtension } = directive(id);
    const note = isExtension ? ['.Pq extension'] : [];
    return [`.It ${inline(form)}`, ...note, ...roff(text)];
  });
  return ['.Bl -tag -width Ds', ...items, '.El'];
}

/** Each sentence begins a line, as mdoc requires, and no line exceeds its limit. */
function roff(markdown: string): string[] {
  const sentences = inline(markdown).split(/(?<=[.:]) (?=[A-Za-z`\\])/);
  return sentences.flatMap(wrapped).map(escapeRoff);
}

const MAX_MANUAL_LINE = 80;

function wrapped(sentence: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of sentence.split(' ')) {
    const system = /^OpenBSD(\S*)$/.exec(word)?.[1]; // has its own macro, which takes a line
    if (system !== undefined) {
      const isDelimiter = /^[.,:;)?!]?$/.test(system); // closes up by itself
      lines.push(line, `.Ox ${isDelimiter ? '' : 'Ns '}${system}`.trimEnd());
      line = '';
    } else if (line.length + 1 + word.length > MAX_MANUAL_LINE) {
      lines.push(line);
      line = word;
    } else line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line].filter((it) => it !== '');
}

/** Code in bold, arguments in italics. */
function inline(markdown: string): string {
  return markdown
    .replaceAll('\\', '\\e')
    .replaceAll(/`([^`]*)`/g, '\\fB$1\\fR')
    .replaceAll(/\*([^*]+)\*/g, '\\fI$1\\fR')
    .replaceAll('’', "'")
    .replaceAll('…', '...');
}

function escapeRoff(line: string): string {
  return /^(?:'|\.(?!Ox\b))/.test(line) ? `\\&${line}` : line;
}

/** For tests: every block is in the manual. */
export function documentedBlocks(): readonly Block[] {
  const shown = new Set(SECTIONS.flatMap((it) => it.blocks ?? []));
  return BLOCKS.filter((it) => shown.has(it));
}
