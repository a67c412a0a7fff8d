/** The virtio socket: sockets between the guest and its host, which are unix sockets there. */
import type { DirectiveFindings, Written } from '../directive.ts';
import { checkRange } from '../directiveChecks.ts';
import { valueFlag } from '../flags.ts';
import { described, type Described, type OptionRows, type OptionTable } from '../optionTable.ts';
import type { Setting, ValueKind } from '../setting.ts';
import { describe, path, text, wholeNumber } from '../valueKinds.ts';
import { byteLength } from '../values.ts';

/** Virtio 1.2 §5.10.4: 0 to 2 are reserved or the host, all ones is any. */
const MIN_CID = 3;
const MAX_CID = 4294967294;
/** Of sun_path without its NUL, less `_4294967295`: a port is appended. */
const MAX_SOCKET_BYTES = 107 - 11;
const TOO_LONG = `must be at most ${MAX_SOCKET_BYTES} bytes long, so that a port can be appended`;

const socket: ValueKind<string> = {
  ...path,
  read: (written, complain) => {
    const found = text.read(written, complain);
    if (found === undefined) return undefined;
    if (found === '') return complain(`must be the path of a unix socket, not ${describe(found)}`);
    return byteLength(found) <= MAX_SOCKET_BYTES ? found : complain(TOO_LONG);
  },
  check: (value, complain) => socket.read(value, complain),
};

const OPTIONS = {
  socket: {
    value: socket,
    text: 'the unix socket by which programs of the host reach the guest, with a line `CONNECT port`; with `_port` after it those that the guest reaches. Beside the control socket when not given, as `NAME.vsock`',
    argument: undefined,
  },
} as const satisfies OptionRows;

const TABLE = {
  key: 'cid',
  value: wholeNumber(MIN_CID, MAX_CID),
  description: "The guest's address.",
  missing: "is required: the guest's address, 3 or more",
  form: 'a number from 3 or an object such as { "cid": 3, "socket": "/tmp/guest.vsock" }',
  options: OPTIONS,
} as const satisfies OptionTable<'cid', number, OptionRows>;

/** `socket` absent: NAME.vsock beside the control socket. */
export type VsockConfig = Described<'cid', number, typeof OPTIONS>;

/** Absent: there is none. */
export const vsock = {
  value: described(TABLE),
  isOptional: true,
  launch: {
    key: 'vsock',
    default: undefined,
    missing: undefined,
    description:
      'Give the guest a virtio socket: its address, a number from 3, or an object with `cid` and `socket`, the unix socket by which programs of the host reach it (`CONNECT port`; `NAME.vsock` beside the control socket when not given). What the guest connects to is at the same path with `_port` after it.',
  },
  flag: valueFlag(
    'vsock',
    'CID[,PATH]',
    "a virtio socket: the guest's address from 3, a unix socket",
    (given) => {
      const comma = given.indexOf(',');
      const cid = comma < 0 ? given : given.slice(0, comma);
      const number = /^\d+$/.test(cid) ? Number(cid) : cid;
      return { cid: number, ...(comma < 0 ? {} : { socket: given.slice(comma + 1) }) };
    },
  ),
  vmConf: {
    directives: {
      vsock: {
        block: 'vm',
        words: ['vsock', 'cid'],
        args: [
          { name: 'cid', kind: 'number' },
          { name: 'socket', kind: 'string', after: 'socket', isOptional: true },
        ],
        isExtension: true,
        form: '`vsock cid` *cid* [`socket` *path*]',
        snippet: ' ${1:3}',
        text: "A virtio socket device; the guest's address, 3 to 4294967294. Programs of the host reach the guest by the unix socket, with a line `CONNECT` *port*; what the guest connects to is at the same path with `_` and the port after it. The socket is *name*`.vsock` beside the control socket when not given.",
        isOnce: true,
        check: checkWritten,
      },
    },
    isInherited: true,
    read: (vm) => {
      const { cid, socket: file } = vm.last('vsock')?.args ?? {};
      if (cid === undefined) return undefined;
      return { cid: Number(cid.text), ...(file === undefined ? {} : { socket: vm.path(file) }) };
    },
    unsupported: () => undefined,
  },
} as const satisfies Setting<VsockConfig>;

function checkWritten({ args: { cid, socket: file } }: Written, findings: DirectiveFindings): void {
  checkRange(cid, 'cid', { min: MIN_CID, max: MAX_CID, what: 'the vsock cid' }, findings);
  if (file === undefined) return;
  socket.read(file.text, (message) => void findings.error('socket', 'value', `the socket ${message}`));
}
