/** Network interfaces as a vm.conf describes them: from their directives to what launch.json would have. */
import type { DirectiveFindings, Written, WrittenValue } from '../directive.ts';
import type { Complain, WrittenVm } from '../setting.ts';
import { isNoLladdr, lladdrText, parseLladdr, plainPrefix } from '../values.ts';
import { forward, type ForwardConfig, guestForward } from './forwards.ts';
import {
  isOptionOf,
  MAX_FORWARDS,
  network,
  type NetworkConfig,
  networkFromBlock,
  type NetworkKind,
  networkOptionAgain,
  pathOfSocket,
  pathOfSwitch,
} from './networkOptions.ts';

const NOT_TOLD: Complain = () => undefined; // the checks have
/** Until it has its own name. */
const ANY_SWITCH = 'any';
/** vmd takes a random network in it. */
const UNIQUE_LOCAL = 'fd00::/8';
const IDS = ['interface', 'localInterface', 'networkUser', 'networkStream', 'networkPasst'] as const;

/** Those described, plus unattached ones up to the number that `interfaces` asks for. */
export function networksOf(vm: WrittenVm): readonly NetworkConfig[] | undefined {
  const found = vm.all(...IDS).flatMap((it) => networkOf(vm, it) ?? []);
  const wanted = Number(vm.last('interfaces')?.args['count']?.text ?? 0);
  while (found.length < wanted) found.push({ kind: 'tap' });
  return found.length === 0 ? undefined : found;
}

/** Undefined when its values are wrong, which has been reported. */
function networkOf(vm: WrittenVm, written: Written): NetworkConfig | undefined {
  switch (written.id) {
    case 'networkUser':
      return extensionOf(vm, written, 'user');
    case 'networkStream':
      return extensionOf(vm, written, 'stream');
    case 'networkPasst':
      return extensionOf(vm, written, 'passt');
    default:
      return interfaceOf(vm, written);
  }
}

function extensionOf(vm: WrittenVm, { args, items }: Written, kind: NetworkKind): NetworkConfig | undefined {
  const { socket } = args;
  const forwards = items.flatMap((it) => (it.id === 'forward' ? (forwardOf(vm, it) ?? []) : []));
  const guestForwards = items.flatMap((it) =>
    it.id === 'guestForward' ? (guestForwardOf(vm, it) ?? []) : [],
  );
  return network.read(
    {
      kind,
      ...networkFromBlock('network', items, (value) => vm.path(value)),
      ...(socket === undefined ? {} : { socket: pathOfSocket(socket.text, () => vm.path(socket)) }),
      ...(forwards.length === 0 ? {} : { forwards }),
      ...(guestForwards.length === 0 ? {} : { guestForwards }),
    },
    NOT_TOLD,
  );
}

/** One of vmd's. */
function interfaceOf(vm: WrittenVm, { id, args, items }: Written): NetworkConfig | undefined {
  const find = (...ids: readonly string[]): Written | undefined =>
    items.findLast((it) => ids.includes(it.id));
  const tap = args['tap']?.text;
  const given = find('ifSwitch')?.args['name'];
  const name = given?.text;
  const bytes = parseLladdr(find('lladdr', 'lockedLladdr')?.args['address']?.text ?? '');
  const kind = interfaceKind(id, name !== undefined);
  const declared = declaredSwitch(vm, name);
  const options = network.read(
    {
      kind,
      ...networkFromBlock('interface', items, (value) => vm.path(value)),
      ...(kind === 'switch' ? { switch: ANY_SWITCH } : tap === undefined || tap === 'tap' ? {} : { tap }),
    },
    NOT_TOLD,
  );
  if (options === undefined) return undefined;
  return {
    ...options,
    ...(find('ifUp', 'ifDown')?.id === 'ifDown' || declared.isDown ? { isDown: true } : {}),
    // Whatever vmd takes: `vmm run` looks at it again.
    ...(kind === 'switch' && given !== undefined
      ? { switch: pathOfSwitch(given.text, () => vm.path(given)), ...declared.values }
      : {}),
    ...(bytes === undefined || isNoLladdr(bytes) ? {} : { lladdr: lladdrText(bytes) }),
    ...(find('lockedLladdr') !== undefined || declared.isLocked ? { isLocked: true } : {}),
    ...(kind === 'local' ? localPrefixes(vm) : {}),
  };
}

export function interfaceKind(id: string, hasSwitch: boolean): NetworkKind {
  return id === 'localInterface' ? 'local' : hasSwitch ? 'switch' : 'tap';
}

interface DeclaredSwitch {
  readonly values: Pick<NetworkConfig, 'uplink'>;
  readonly isLocked: boolean;
  readonly isDown: boolean;
}

/** What the file's `switch` of that name says of its interfaces; of several the first counts, as for vmd. */
function declaredSwitch(vm: WrittenVm, name: string | undefined): DeclaredSwitch {
  const found =
    name === undefined ? undefined : vm.top('switch').find(({ args }) => args['name']?.text === name);
  const last = (...ids: readonly string[]): Written | undefined =>
    found?.items.findLast(({ id }) => ids.includes(id));
  const uplink = last('switchInterface')?.args['interface']?.text;
  return {
    values: uplink === undefined ? {} : { uplink },
    isLocked: last('switchLocked') !== undefined,
    isDown:
      last('switchEnable', 'switchDisable')?.id === 'switchDisable' ||
      last('switchUp', 'switchDown')?.id === 'switchDown',
  };
}

/** What the file's `local prefix` and `local inet6` say; the last of each counts. */
function localPrefixes(vm: WrittenVm): Pick<NetworkConfig, 'prefix' | 'prefix6'> {
  const argument = (id: string): string | undefined => vm.top(id).at(-1)?.args['address/length']?.text;
  const prefix = plainPrefix(argument('localPrefix'), 'inet');
  const prefix6 =
    vm.top('localInet6').length === 0
      ? undefined
      : (plainPrefix(argument('localInet6'), 'inet6') ?? UNIQUE_LOCAL);
  return { ...(prefix === undefined ? {} : { prefix }), ...(prefix6 === undefined ? {} : { prefix6 }) };
}

/** As `forward.read` takes it. */
function forwardForm({ args: { protocol, from, to } }: Written): string {
  return `${protocol?.text ?? ''}:${from?.text ?? ''}:${to?.text ?? ''}`;
}

/** Undefined when it is wrong. */
export function writtenForward(written: Written): ForwardConfig | undefined {
  return forward.read(forwardForm(written), NOT_TOLD);
}

function forwardOf(vm: WrittenVm, written: Written): object | undefined {
  const value = writtenForward(written);
  return value === undefined ? undefined : forward.resolve(value, absoluteIn(vm, written.args['from']));
}

function guestForwardOf(vm: WrittenVm, { args: { from, to } }: Written): object | undefined {
  const value = guestForward.read(`${from?.text ?? ''}:${to?.text ?? ''}`, NOT_TOLD);
  return value === undefined ? undefined : guestForward.resolve(value, absoluteIn(vm, to));
}

/** Of a path that is a part of a value. */
function absoluteIn(vm: WrittenVm, value: WrittenValue | undefined): (path: string) => string {
  return (path) => (value === undefined ? path : vm.path({ ...value, text: path }));
}

/** Options that are there twice, or of another kind of network. The rest the options' own checks see. */
export function checkOptions(
  block: 'interface' | 'network',
  { items }: Written,
  findings: DirectiveFindings,
  kind?: NetworkKind,
): void {
  const again = networkOptionAgain(block, items);
  if (again !== undefined)
    findings.error(undefined, 'repeated', `"${again}" is given more than once for this interface`);
  for (const id of ['forward', 'guestForward'])
    if (items.filter((it) => it.id === id).length > MAX_FORWARDS)
      findings.error(undefined, 'value', `a network can have at most ${MAX_FORWARDS} of ${inWords(id)}`);
  if (kind === undefined) return;
  const misplaced = items.find(({ id }) => !isOptionOf(kind, id));
  if (misplaced !== undefined)
    findings.error(undefined, 'conflict', `a network of kind ${kind} has no ${inWords(misplaced.id)}`);
}

/** `networkPrefix6`: prefix6; `interfaceVhost`: vhost. */
function inWords(id: string): string {
  return id
    .replace(/^(?:network|interface)/, '')
    .replace(/[A-Z]/g, (it) => ` ${it.toLowerCase()}`)
    .trim();
}

export function checkForward(written: Written, findings: DirectiveFindings): void {
  forward.read(
    forwardForm(written),
    (message) => void findings.error('from', 'value', `the forward ${message}`),
  );
}

export function checkGuestForward({ args: { from, to } }: Written, findings: DirectiveFindings): void {
  const form = `${from?.text ?? ''}:${to?.text ?? ''}`;
  guestForward.read(form, (message) => void findings.error('from', 'value', `the forward ${message}`));
}
