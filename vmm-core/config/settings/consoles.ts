/** Ports of the virtio console besides hvc0, by name. */
import type { DirectiveFindings, Written } from '../directive.ts';
import {
  described,
  type Described,
  fromFlag,
  listFlag,
  listOf,
  type OptionRows,
  type OptionTable,
} from '../optionTable.ts';
import type { ConfigProblem } from '../rows.ts';
import { SERIAL_PORTS, type SerialBackend } from '../serialBackend.ts';
import type { Setting, ValueKind, WrittenVm } from '../setting.ts';
import { describe, flag, plain } from '../valueKinds.ts';
import { checkTarget, serialTarget, TARGETS, unsupportedTarget, writtenTarget } from './serial.ts';

const MOST_CONSOLES = 8;
/** What udev makes a link of in /dev/virtio-ports; org.qemu.guest_agent.0 is one. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const NAME_RULE = 'at most 63 letters, digits, ".", "-" and "_", beginning with a letter or digit';
const TO_TERMINAL: SerialBackend = { kind: 'client' };

const name = plain<string>({ type: 'string', pattern: NAME.source }, (written, complain) => {
  if (typeof written !== 'string' || !NAME.test(written))
    return complain(`must be ${NAME_RULE}, not ${describe(written)}`);
  const isTaken = SERIAL_PORTS.some((it) => it === written.toLowerCase());
  return isTaken ? complain(`must not be that of a serial port, ${written}`) : written;
});

const OPTIONS = {
  target: {
    value: serialTarget,
    text: 'where its bytes go: `terminal`, the default, `file:PATH` or `null`',
    argument: undefined,
  },
  isConsole: {
    key: 'tty',
    value: flag,
    text: 'it is a terminal to the guest as well (Linux: /dev/hvc1 …), which has the size of ours; otherwise a plain port (/dev/virtio-ports/NAME)',
    argument: undefined,
  },
} as const satisfies OptionRows;

const TABLE = {
  key: 'name',
  value: name,
  description: "The port's name, which the guest sees.",
  missing: "is required: the port's name",
  form: 'a name or an object such as { "name": "log", "target": "file:log.txt" }',
  options: OPTIONS,
} as const satisfies OptionTable<'name', string, OptionRows>;

/** Its first port is hvc0's, or reserved for it. */
export type ConsoleConfig = Described<'name', string, typeof OPTIONS> & { readonly target: SerialBackend };

const named = described(TABLE);

const port: ValueKind<ConsoleConfig> = {
  schema: named.schema,
  read: (written, complain) => withTarget(named.read(written, complain)),
  check: (value, complain) => withTarget(named.check(value, complain)),
  print: (value) => named.print(value),
  resolve: (value, absolute) => ({ ...value, target: serialTarget.resolve(value.target, absolute) }),
};

const consoleFlag = listFlag(
  {
    name: 'console',
    placeholder: 'N[=TO]',
    text: 'a virtio console port of that name, to terminal, file:PATH or null; N=TO,tty: with a tty',
  },
  ofFlag,
  port,
);

/** Absent: there is none. */
export const consoles = {
  value: listOf(port, 'ports', MOST_CONSOLES),
  isOptional: true,
  launch: {
    key: 'consoles',
    default: undefined,
    missing: undefined,
    description: `Ports of a virtio console by name, at most ${MOST_CONSOLES}: names, or objects with \`name\`, \`target\`, where its bytes go (\`"terminal"\`, the default, \`"file:PATH"\` or \`"null"\`), and \`tty\`: true makes it a terminal to the guest as well (Linux: /dev/hvc1 …), otherwise it is a plain port (/dev/virtio-ports/NAME).`,
  },
  flag: consoleFlag,
  vmConf: {
    directives: {
      console: {
        block: 'vm',
        words: ['console'],
        args: [
          { name: 'name', kind: 'word' },
          { name: 'tty', kind: ['tty'], isOptional: true },
          { name: 'target', kind: TARGETS, isOptional: true },
          { name: 'path', kind: 'string', means: 'path', isOptional: true },
        ],
        isExtension: true,
        form: '`console` *name* [`tty`] [*target*]',
        snippet: ' "${1:name}"',
        text: `A port of the virtio console, at most ${MOST_CONSOLES}, by the name that the guest sees: ${NAME_RULE}. Its bytes go where those of a serial port may go, to a \`terminal\` when not given. With \`tty\` it is a terminal to the guest as well (Linux: /dev/hvc1 …), otherwise a plain port (/dev/virtio-ports/*name*).`,
        check: checkConsole,
      },
    },
    isInherited: true,
    read: (vm) => {
      const found = vm.all('console').flatMap((it) => consoleOf(vm, it));
      return found.length === 0 ? undefined : found;
    },
    unsupported: unsupportedTarget,
  },
} as const satisfies Setting<readonly ConsoleConfig[]>;

/** What the row cannot see of one. */
export function consoleProblem({
  consoles: all = [],
}: {
  readonly consoles?: readonly ConsoleConfig[];
}): ConfigProblem | undefined {
  const again = all.find((it, i) => all.findIndex((other) => other.name === it.name) < i);
  return again === undefined
    ? undefined
    : { key: consoles.launch.key, message: `names ${again.name} twice: give one another name` };
}

function withTarget(value: Described<'name', string, typeof OPTIONS> | undefined): ConsoleConfig | undefined {
  return value === undefined ? undefined : { ...value, target: value.target ?? TO_TERMINAL };
}

/** `agent=file:a,,b,tty`; the name has no `=`. */
function ofFlag(text: string, refuse: (message: string) => void): Record<string, unknown> {
  const [first = ''] = /^[^,]*(?:,,[^,]*)*/.exec(text) ?? [];
  const rest = text.slice(first.length);
  const equals = first.indexOf('=');
  if (equals < 0) return fromFlag(TABLE, text, refuse);
  return fromFlag(TABLE, `${first.slice(0, equals)},target=${first.slice(equals + 1)}${rest}`, refuse);
}

function consoleOf(vm: WrittenVm, written: Written): ConsoleConfig[] {
  const { name: given, tty } = written.args;
  if (given === undefined) return [];
  const target = writtenTarget(vm, written) ?? TO_TERMINAL;
  return [{ name: given.text, target, ...(tty === undefined ? {} : { isConsole: true }) }];
}

function checkConsole(written: Written, findings: DirectiveFindings): void {
  const count = (findings.tally.get('consoles') ?? 0) + 1;
  findings.tally.set('consoles', count);
  if (count > MOST_CONSOLES)
    findings.error(undefined, 'value', `a VM can have at most ${MOST_CONSOLES} named consoles`);
  const given = written.args['name'];
  if (given === undefined) return;
  name.read(given.text, (message) => void findings.error('name', 'value', `the name ${message}`));
  findings.once(`the console "${given.text}"`);
  if (written.args['target'] !== undefined) checkTarget(written, findings);
}
