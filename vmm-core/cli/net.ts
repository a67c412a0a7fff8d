/** `vmm net`: the network interfaces of a VM, watched and changed while it runs. */
import path from 'node:path';
import { decodedText } from '../client/decodedText.ts';
import { standardOutput } from '../client/output.ts';
import { quoted } from '../client/regularFile.ts';
import { connectVmm, type VmmClient } from '../client/vmmClient.ts';
import { type ForwardConfig, forward } from '../config/settings/forwards.ts';
import { parseSize } from '../config/size.ts';
import { UserError } from '../errors.ts';
import {
  addNetworkForward,
  type CaptureParams,
  type CaptureResult,
  listNetworks,
  type NetworkSummary,
  removeNetworkForward,
  reportNetwork,
  setNetworkLink,
  startNetworkCapture,
  stopNetworkCapture,
} from '../protocol/networks.ts';
import { fail, type Options, parseArguments, single, type Values } from './arguments.ts';
import { isAnswer, runningVm } from './runningVm.ts';
import { textTable } from '../client/textTable.ts';

const OPTIONS = {
  rotate: { type: 'string' },
  files: { type: 'string' },
  snap: { type: 'string' },
  comment: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} satisfies Options;

const USAGE = `usage: vmm net NAME [--json]
       vmm net NAME show IF [--json]
       vmm net NAME up IF
       vmm net NAME down IF
       vmm net NAME capture IF FILE [--rotate SIZE [--files N]] [--snap BYTES] [--comment TEXT]
       vmm net NAME capture IF stop
       vmm net NAME forward IF FORWARD
       vmm net NAME unforward IF FORWARD

  NAME             of a VM, as "vmm status" lists it
  IF               an interface as "vmm net NAME" lists it: net0, or its number
  show             its counters, addresses, tables and connections
  up, down         what the guest sees of its cable
  capture          writes its frames to a pcapng file, until it is stopped
  FORWARD          tcp:2222:22, udp:0.0.0.0:53:53, tcp:8000-8010:80, tcp:unix:/path:22
  --rotate SIZE    begins another file after so many bytes: 100M
  --files N        and keeps the last N
  --snap BYTES     of each frame; all of it when not given
  --comment TEXT   into the file's header
  --json           one JSON object or list

The guest runs on.
`;

/** What a verb does; resolves with what is printed. */
type Action = (client: VmmClient) => Promise<string>;

const VERBS = ['show', 'up', 'down', 'capture', 'forward', 'unforward'] as const;
type Verb = (typeof VERBS)[number];
const ONLY_FOR_CAPTURE = ['rotate', 'files', 'snap', 'comment'] as const;

export async function net(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'net', 4);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [name, ...rest] = positionals;
    const action = actionOf(rest, values);
    const { socket } = await runningVm('vmm net', name);
    const client = await connectVmm(socket, { client: 'vmm net' });
    try {
      standardOutput.write(await action(client));
    } finally {
      client.dispose();
    }
    return 0;
  } catch (error) {
    if (isAnswer(error)) return fail(error.message);
    throw error;
  }
}

/** Throws UserError. */
function actionOf([verb, target = '', ...rest]: readonly string[], values: Values): Action {
  const isJson = values['json'] === true;
  const isCapture = verb === 'capture' && rest[0] !== 'stop';
  const surplus = ONLY_FOR_CAPTURE.find((it) => values[it] !== undefined);
  if (surplus !== undefined && !isCapture)
    throw new UserError(`--${surplus} is only for "vmm net NAME capture IF FILE"`);
  if (isJson && verb !== undefined && verb !== 'show')
    throw new UserError('--json is only for the list of interfaces, and for "vmm net NAME show IF"');
  if (verb === undefined)
    return async (client) => listText(await client.connection.sendRequest(listNetworks), isJson);
  if (!isVerb(verb))
    throw new UserError(
      `${quoted(verb)} is not something to do with an interface; "vmm net --help" tells what is`,
    );
  const network = interfaceName(target, verb);
  const [value] = rest;
  if (value !== undefined && !['capture', 'forward', 'unforward'].includes(verb))
    throw new UserError(`${quoted(value)} is one argument too many; "vmm net --help" shows how to call it`);
  switch (verb) {
    case 'show':
      return async ({ connection }) => {
        const report = await connection.sendRequest(reportNetwork, { network });
        return isJson ? `${JSON.stringify(report)}\n` : decodedText(report);
      };
    case 'up':
    case 'down':
      return silent(({ connection }) =>
        connection.sendRequest(setNetworkLink, { network, isUp: verb === 'up' }),
      );
    case 'capture':
      return captureAction(network, value, values);
    case 'forward':
    case 'unforward': {
      const request = verb === 'forward' ? addNetworkForward : removeNetworkForward;
      const wanted = forwardArgument(value);
      return silent(({ connection }) => connection.sendRequest(request, { network, forward: wanted }));
    }
  }
}

function isVerb(text: string): text is Verb {
  return VERBS.some((it) => it === text);
}

function silent(act: (client: VmmClient) => Promise<void>): Action {
  return async (client) => {
    await act(client);
    return '';
  };
}

/** `0` and `net0`. */
function interfaceName(given: string, verb: Verb): string {
  if (/^\d{1,2}$/.test(given)) return `net${Number(given)}`;
  if (given === '') throw new UserError(`which interface? write "vmm net NAME ${verb} net0"`);
  return given;
}

function captureAction(network: string, file: string | undefined, values: Values): Action {
  if (file === undefined)
    throw new UserError('give the file to write to, or "stop": vmm net NAME capture net0 net0.pcapng');
  if (file === 'stop')
    return async ({ connection }) =>
      captureText(await connection.sendRequest(stopNetworkCapture, { network }));
  const rotate = single(values, 'rotate');
  const rotateBytes = rotate === undefined ? undefined : parseSize(rotate);
  if (rotate !== undefined && rotateBytes === undefined)
    throw new UserError(`--rotate takes a size such as 100M, not ${quoted(rotate)}`);
  const comment = single(values, 'comment');
  const params: CaptureParams = {
    network,
    path: path.resolve(file),
    ...(rotateBytes === undefined ? {} : { rotateBytes: Math.floor(rotateBytes) }),
    ...(comment === undefined ? {} : { comment }),
    ...wholeNumber(values, 'files', 'files'),
    ...wholeNumber(values, 'snap', 'snapBytes'),
  };
  return silent(({ connection }) => connection.sendRequest(startNetworkCapture, params));
}

function wholeNumber(values: Values, option: string, key: 'files' | 'snapBytes'): Partial<CaptureParams> {
  const given = single(values, option);
  if (given === undefined) return {};
  if (!/^\d{1,9}$/.test(given)) throw new UserError(`--${option} takes a whole number, not ${quoted(given)}`);
  return { [key]: Number(given) };
}

function forwardArgument(given: string | undefined): ForwardConfig {
  if (given === undefined) throw new UserError('give the forward: vmm net NAME forward net0 tcp:2222:22');
  const found = forward.read(given, (message) => {
    throw new UserError(`the forward ${message}`);
  });
  if (found === undefined) throw new UserError(`${quoted(given)} is no forward`);
  return forward.resolve(found, (it) => path.resolve(it));
}

function listText(networks: readonly NetworkSummary[], isJson: boolean): string {
  if (isJson) return `${JSON.stringify(networks)}\n`;
  const rows = networks.map(({ name, kind, lladdr, isUp, capture }) => [
    name,
    kind,
    lladdr,
    isUp ? 'up' : 'down',
    capture ?? '',
  ]);
  const lines = textTable(['INTERFACE', 'KIND', 'ADDRESS', 'LINK', 'CAPTURE'], rows);
  return lines.map((it) => `${it}\n`).join('');
}

function captureText({ frames, dropped, paths }: CaptureResult): string {
  const lost = dropped === 0 ? '' : `, ${dropped} more were lost: the file could not keep up`;
  return `${frames} frames in ${paths.join(', ')}${lost}\n`;
}
