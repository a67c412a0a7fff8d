/** The serial ports. COM1 is a terminal by default, the others go nowhere. */
import type { DirectiveFindings, Written } from '../directive.ts';
import { COM_PORTS, parseSerialBackend, type SerialBackend, serialForm } from '../serialBackend.ts';
import type { Complain, Flag, Setting, ValueKind, ValueSchema, WrittenVm } from '../setting.ts';
import { unknownKey } from '../unknownKey.ts';
import { describe, isObject } from '../valueKinds.ts';

const TARGETS = ['terminal', 'stdio', 'null', 'file', 'pty', 'unix'] as const;
const FORMS = '"terminal", "file:PATH", "null" or "stdio"';
const OF_COM1: SerialBackend = { kind: 'client' };
const OF_OTHERS: SerialBackend = { kind: 'null' };

/** Always an entry for each of COM1 to COM4. */
type Ports = readonly SerialBackend[];

const portSchema: ValueSchema = {
  type: 'string',
  pattern: '^(terminal|null|file:.+)$',
  patternErrorMessage: 'A serial port is "terminal", "null" or "file:PATH".',
  default: 'terminal',
};

const ports: ValueKind<Ports> = {
  schema: {
    type: 'object',
    properties: Object.fromEntries(COM_PORTS.map((port) => [port, portSchema])),
    additionalProperties: false,
  },
  read: (written, complain) => {
    if (!isObject(written)) {
      return complain(`must be an object such as { "com1": "terminal" }, not ${describe(written)}`);
    }
    for (const key of Object.keys(written)) {
      const message = unknownKey(key, COM_PORTS);
      if (message !== undefined) complain(message, `.${key}`);
    }
    return COM_PORTS.map((port, i) => readPort(i, written[port] ?? undefined, complain));
  },
  check: (value, complain) => {
    if (!Array.isArray(value)) return complain(`must be a list, not ${describe(value)}`);
    if (value.length > COM_PORTS.length)
      return complain(`at most ${COM_PORTS.length} entries, not ${value.length}`);
    return COM_PORTS.map((_, i) => checkPort(i, value[i], complain));
  },
  print: (value) => Object.fromEntries(COM_PORTS.map((port, i) => [port, serialForm(value[i] ?? OF_OTHERS)])),
  resolve: (value, absolute) =>
    value.map((it) => (it.kind === 'file' ? { ...it, path: absolute(it.path) } : it)),
};

/** The first is COM1, which is this terminal when none is given. */
const flag: Flag = {
  name: 'serial',
  placeholder: 'BACKEND',
  isRepeatable: true,
  text: 'stdio, terminal, file:PATH or null; the first is COM1 (stdio)',
  read: (given, refuse) => {
    const forms = given.length === 0 ? ['stdio'] : given;
    if (forms.length > COM_PORTS.length)
      return refuse('there are four serial ports: give --serial at most four times');
    const wrong = forms.find((it) => parseSerialBackend(it) === undefined);
    if (wrong !== undefined) return refuse(`--serial ${wrong} is not stdio, terminal, file:PATH or null`);
    return Object.fromEntries(forms.map((form, i) => [`com${i + 1}`, form] as const));
  },
};

export const serial = {
  value: ports,
  isOptional: false,
  launch: {
    key: 'serial',
    default: { com1: 'terminal' },
    missing: undefined,
    description:
      'Where each serial port goes: `"terminal"`, `"file:PATH"` or `"null"`. COM1 is a terminal unless you say otherwise, the others go nowhere.',
  },
  flag,
  vmConf: {
    directives: {
      serial: {
        block: 'vm',
        words: ['serial'],
        args: [
          { name: 'port', kind: COM_PORTS, isOptional: true },
          { name: 'target', kind: TARGETS },
          { name: 'path', kind: 'string', means: 'path', isOptional: true },
        ],
        isExtension: true,
        form: '`serial` [`com1` | `com2` | `com3` | `com4`] *target*',
        snippet: ' ${1|com1,com2,com3,com4|} ${2|terminal,stdio,null,file,pty,unix|}',
        text: 'Where the bytes of a serial port go: `terminal` (the attached clients: a terminal in the editor, `vmm console`), `stdio`, `null`, `file` *path*, `pty` or `unix` *path*. The default port is com1. By default com1 is a terminal and the others go nowhere.',
        check: checkWritten,
      },
    },
    isInherited: true,
    read: (vm) => COM_PORTS.map((port, i) => writtenPort(vm, port, i)),
    unsupported: ({ args }) => {
      const target = args['target']?.text;
      return target === 'pty' || target === 'unix' ? `serial ${target}` : undefined;
    },
  },
} as const satisfies Setting<Ports>;

function byDefault(port: number): SerialBackend {
  return port === 0 ? OF_COM1 : OF_OTHERS;
}

function readPort(port: number, form: unknown, complain: Complain): SerialBackend {
  if (form === undefined) return byDefault(port);
  const backend = typeof form === 'string' ? parseSerialBackend(form) : undefined;
  if (backend === undefined) complain(`must be ${FORMS}, not ${describe(form)}`, `.com${port + 1}`);
  return backend ?? OF_OTHERS;
}

function checkPort(port: number, value: unknown, complain: Complain): SerialBackend {
  if (value === undefined) return byDefault(port);
  const { kind, path } = isObject(value) ? value : {};
  if (kind === 'client' || kind === 'stdio' || kind === 'null') return { kind };
  if (kind === 'file' && typeof path === 'string' && path !== '') return { kind, path };
  const given = !isObject(value) ? value : kind === 'file' ? 'file:' : kind;
  complain(`must be ${FORMS}, not ${describe(given)}`, `.com${port + 1}`);
  return OF_OTHERS;
}

function checkWritten({ args: { target, path, port } }: Written, findings: DirectiveFindings): void {
  findings.once(port?.text ?? 'com1');
  const needsPath = target?.text === 'file' || target?.text === 'unix';
  if (needsPath && path === undefined)
    findings.error('target', 'missing', `a path must follow "${target.text}"`);
  if (!needsPath && path !== undefined)
    findings.error('path', 'value', `no path may follow "${target?.text ?? ''}"`);
}

function writtenPort(vm: WrittenVm, port: string, index: number): SerialBackend {
  const written = vm.all('serial').findLast((it) => (it.args['port']?.text ?? 'com1') === port);
  const path = written?.args['path'];
  switch (written?.args['target']?.text) {
    case undefined:
      return byDefault(index);
    case 'terminal':
      return { kind: 'client' };
    case 'stdio':
      return { kind: 'stdio' };
    case 'file':
      return path === undefined ? { kind: 'null' } : { kind: 'file', path: vm.path(path) };
    default:
      return { kind: 'null' };
  }
}
