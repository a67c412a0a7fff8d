/**
 * The serial ports. COM1 is a terminal by default, COM2 to COM4 go nowhere, and hvc0 is there when it is
 * asked for.
 */
import type { DirectiveFindings, Written } from '../directive.ts';
import {
  COM_PORTS,
  parseSerialBackend,
  SERIAL_PORTS,
  type SerialBackend,
  serialForm,
  VIRTIO_CONSOLE,
} from '../serialBackend.ts';
import type { Complain, Flag, Setting, ValueKind, WrittenVm } from '../setting.ts';
import { unknownKey } from '../unknownKey.ts';
import { describe, isObject } from '../valueKinds.ts';

export const TARGETS = ['terminal', 'stdio', 'null', 'file', 'pty', 'unix'] as const;
const FORMS = '"terminal", "file:PATH", "null" or "stdio"';
const HVC0 = SERIAL_PORTS[VIRTIO_CONSOLE];
const OF_COM1: SerialBackend = { kind: 'client' };
const OF_OTHERS: SerialBackend = { kind: 'null' };

/** Always an entry for each of COM1 to COM4; a fifth for hvc0, if it is there. */
type Ports = readonly SerialBackend[];

/** Where the bytes of a port go. */
export const serialTarget: ValueKind<SerialBackend> = {
  schema: {
    type: 'string',
    pattern: '^(terminal|null|file:.+)$',
    patternErrorMessage: 'A serial port is "terminal", "null" or "file:PATH".',
    default: 'terminal',
  },
  read: (form, complain) => {
    const backend = typeof form === 'string' ? parseSerialBackend(form) : undefined;
    return backend ?? complain(`must be ${FORMS}, not ${describe(form)}`);
  },
  check: (value, complain) => {
    const { kind, path } = isObject(value) ? value : {};
    if (kind === 'client' || kind === 'stdio' || kind === 'null') return { kind };
    if (kind === 'file' && typeof path === 'string' && path !== '') return { kind, path };
    const given = !isObject(value) ? value : kind === 'file' ? 'file:' : kind;
    return complain(`must be ${FORMS}, not ${describe(given)}`);
  },
  print: serialForm,
  resolve: (value, absolute) => (value.kind === 'file' ? { ...value, path: absolute(value.path) } : value),
};

const ports: ValueKind<Ports> = {
  schema: {
    type: 'object',
    properties: Object.fromEntries(SERIAL_PORTS.map((port) => [port, serialTarget.schema])),
    additionalProperties: false,
  },
  read: (written, complain) => {
    if (!isObject(written)) {
      return complain(`must be an object such as { "com1": "terminal" }, not ${describe(written)}`);
    }
    for (const key of Object.keys(written)) {
      const message = unknownKey(key, SERIAL_PORTS);
      if (message !== undefined) complain(message, `.${key}`);
    }
    return portsOf(written[HVC0] !== undefined).map((port, i) => take(i, written[port], complain, 'read'));
  },
  check: (value, complain) => {
    if (!Array.isArray(value)) return complain(`must be a list, not ${describe(value)}`);
    if (value.length > SERIAL_PORTS.length)
      return complain(`at most ${SERIAL_PORTS.length} entries, not ${value.length}`);
    return portsOf(value.length > VIRTIO_CONSOLE).map((_, i) => take(i, value[i], complain, 'check'));
  },
  print: (value) =>
    Object.fromEntries(
      portsOf(value.length > VIRTIO_CONSOLE).map((port, i) => [port, serialForm(value[i] ?? OF_OTHERS)]),
    ),
  resolve: (value, absolute) => value.map((it) => serialTarget.resolve(it, absolute)),
};

/** The first is COM1, which is this terminal when none is given. */
const flag: Flag = {
  name: 'serial',
  placeholder: 'BACKEND',
  isRepeatable: true,
  text: 'stdio, terminal, file:PATH or null; the first is COM1 (stdio), the fifth hvc0',
  read: (given, refuse) => {
    const forms = given.length === 0 ? ['stdio'] : given;
    if (forms.length > SERIAL_PORTS.length)
      return refuse('there are five serial ports, COM1 to COM4 and hvc0: give --serial at most five times');
    const wrong = forms.find((it) => parseSerialBackend(it) === undefined);
    if (wrong !== undefined) return refuse(`--serial ${wrong} is not stdio, terminal, file:PATH or null`);
    return Object.fromEntries(forms.map((form, i) => [SERIAL_PORTS[i] ?? '', form] as const));
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
      'Where each serial port goes: `"terminal"`, `"file:PATH"` or `"null"`. COM1 is a terminal unless you say otherwise, COM2 to COM4 go nowhere. Naming `hvc0` gives the guest a virtio console.',
  },
  flag,
  vmConf: {
    directives: {
      serial: {
        block: 'vm',
        words: ['serial'],
        args: [
          { name: 'port', kind: SERIAL_PORTS, isOptional: true },
          { name: 'target', kind: TARGETS },
          { name: 'path', kind: 'string', means: 'path', isOptional: true },
        ],
        isExtension: true,
        form: '`serial` [`com1` | `com2` | `com3` | `com4` | `hvc0`] *target*',
        snippet: ' ${1|com1,com2,com3,com4,hvc0|} ${2|terminal,stdio,null,file,pty,unix|}',
        text: 'Where the bytes of a serial port go: `terminal` (the attached clients: a terminal in the editor, `vmm console`), `stdio`, `null`, `file` *path*, `pty` or `unix` *path*. The default port is com1. By default com1 is a terminal and com2 to com4 go nowhere; hvc0 is a virtio console, which the guest has when it is named here.',
        check: checkWritten,
      },
    },
    isInherited: true,
    read: (vm) => {
      const hasConsole = vm.all('serial').some((it) => it.args['port']?.text === HVC0);
      return portsOf(hasConsole).map((port, i) => writtenPort(vm, port, i));
    },
    unsupported: unsupportedTarget,
  },
} as const satisfies Setting<Ports>;

function portsOf(hasConsole: boolean): readonly (typeof SERIAL_PORTS)[number][] {
  return hasConsole ? SERIAL_PORTS : COM_PORTS;
}

function byDefault(port: number): SerialBackend {
  return port === 0 ? OF_COM1 : OF_OTHERS;
}

function take(port: number, given: unknown, complain: Complain, how: 'read' | 'check'): SerialBackend {
  if (given === undefined || given === null) return byDefault(port);
  const ofPort: Complain = (message) => complain(message, `.${SERIAL_PORTS[port]}`);
  return serialTarget[how](given, ofPort) ?? OF_OTHERS;
}

function checkWritten(written: Written, findings: DirectiveFindings): void {
  findings.once(written.args['port']?.text ?? 'com1');
  checkTarget(written, findings);
}

/** Of vm.conf's targets, those of vmd's host that are still to come. */
export function unsupportedTarget({ args: { target } }: Written): string | undefined {
  return target?.text === 'pty' || target?.text === 'unix' ? `serial ${target.text}` : undefined;
}

/** That a path is there when the target needs one, and only then. */
export function checkTarget({ args: { target, path } }: Written, findings: DirectiveFindings): void {
  const needsPath = target?.text === 'file' || target?.text === 'unix';
  if (needsPath && path === undefined)
    findings.error('target', 'missing', `a path must follow "${target.text}"`);
  if (!needsPath && path !== undefined)
    findings.error('path', 'value', `no path may follow "${target?.text ?? ''}"`);
}

function writtenPort(vm: WrittenVm, port: string, index: number): SerialBackend {
  const written = vm.all('serial').findLast((it) => (it.args['port']?.text ?? 'com1') === port);
  return writtenTarget(vm, written) ?? byDefault(index);
}

/** Undefined when none is named. */
export function writtenTarget(vm: WrittenVm, written: Written | undefined): SerialBackend | undefined {
  const path = written?.args['path'];
  switch (written?.args['target']?.text) {
    case undefined:
      return undefined;
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
