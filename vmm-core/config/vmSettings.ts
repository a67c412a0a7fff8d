/** From a checked vm.conf to what machine/ assembles: one VmConfig per `vm`, with what an instance takes from its parent. */
import type { ConfigHost } from './configHost.ts';
import { type ConfigTree, type DirectiveNode, span, type ValueNode, vmName } from './syntaxTree.ts';
import { UNSUPPORTED, unsupportedPart } from './unsupported.ts';
import { isNoLladdr, parseForwardEnd, parseLladdr, scanScaled, VM_CONF_DEFAULT_MEMORY } from './values.ts';
import {
  BOOT_PROTOCOLS,
  COM_PORTS,
  type DiskConfig,
  type ForwardConfig,
  type InterfaceConfig,
  type SerialBackend,
  type VmConfig,
} from './vmConfig.ts';

/** One VM of a file. */
export interface VmSettings {
  readonly config: VmConfig;
  /** Not to be started with the others. */
  readonly isDisabled: boolean;
  readonly instanceOf?: string;
  readonly owner?: string;
  readonly debug: DebugSettings;
  /** In words: what the file asks for and this VMM cannot do yet. */
  readonly unsupported: readonly string[];
}

export interface DebugSettings {
  /** Start stopped. */
  readonly wait: boolean;
  readonly symbols: readonly string[];
  readonly breakpoints: 'auto' | 'hw' | 'sw';
}

/** Of a tree without errors; the first VM of a name counts, as in vmd. */
export function vmSettings(tree: ConfigTree, host: ConfigHost): VmSettings[] {
  const nodes = new Map<string, DirectiveNode>();
  const result: VmSettings[] = [];
  for (const { node } of tree.statements) {
    const name = node?.id === 'vm' ? vmName(node) : undefined;
    if (node === undefined || name === undefined || nodes.has(name.text)) continue;
    nodes.set(name.text, node);
    const parentName = node.args['instance'] === undefined ? undefined : node.args['name']?.text;
    const parent = parentName === undefined ? undefined : nodes.get(parentName);
    result.push(settingsOf(name.text, new Options(node, parent, host), parentName));
  }
  return result;
}

/** Looks in the VM, then in its parent for what instances inherit. Disks are not inherited. */
class Options {
  readonly #own: readonly DirectiveNode[];
  readonly #inherited: readonly DirectiveNode[];
  readonly #host: ConfigHost;

  constructor(node: DirectiveNode, parent: DirectiveNode | undefined, host: ConfigHost) {
    this.#own = node.items;
    this.#inherited = (parent?.items ?? []).filter(
      (it) => !['disk', 'owner', 'allowInstance', 'disable', 'enable'].includes(it.id),
    );
    this.#host = host;
  }

  all(...ids: readonly DirectiveNode['id'][]): readonly DirectiveNode[] {
    const own = this.#own.filter((it) => ids.includes(it.id));
    return own.length > 0 ? own : this.#inherited.filter((it) => ids.includes(it.id));
  }

  last(...ids: readonly DirectiveNode['id'][]): DirectiveNode | undefined {
    return this.all(...ids).at(-1);
  }

  text(id: DirectiveNode['id'], arg: string): string | undefined {
    return this.last(id)?.args[arg]?.text;
  }

  path(ids: readonly DirectiveNode['id'][], arg = 'path'): string | undefined {
    const value = this.last(...ids)?.args[arg];
    return value === undefined ? undefined : this.resolve(value);
  }

  resolve(value: ValueNode): string {
    return this.#host.resolve(value.text, span(value).file.path);
  }
}

function settingsOf(name: string, options: Options, instanceOf: string | undefined): VmSettings {
  const owner = options.text('owner', 'owner');
  const config = configOf(name, options);
  const debug = options.all('debug').flatMap((it) => it.items);
  const mode = debug.findLast((it) => it.id === 'debugBreakpoints')?.args['mode']?.text;
  return {
    config,
    isDisabled: options.last('enable', 'disable')?.id === 'disable',
    ...(instanceOf === undefined ? {} : { instanceOf }),
    ...(owner === undefined ? {} : { owner }),
    debug: {
      wait: debug.some((it) => it.id === 'debugWait'),
      symbols: debug.flatMap((it) =>
        it.id === 'debugSymbols' && it.args['path'] !== undefined ? [options.resolve(it.args['path'])] : [],
      ),
      breakpoints: mode === 'hw' || mode === 'sw' ? mode : 'auto',
    },
    unsupported: unsupportedParts(options),
  };
}

function configOf(name: string, options: Options): VmConfig {
  const initrd = options.path(['initrd']);
  const cdrom = options.path(['cdrom']);
  const disks = options.all('disk').map((it) => diskOf(it, options));
  const interfaces = interfacesOf(options);
  const device = options.text('bootDevice', 'device');
  const cid = options.text('vsock', 'cid');
  const gdbSocket = options.path(['gdbSocket']);
  const encryption = options.last('sev', 'seves')?.id;
  const image = options.text('firmware', 'image');
  const firmware =
    image === undefined || image === 'bios' || image === 'uefi' ? image : options.path(['firmware'], 'image');
  const protocol = options.text('protocol', 'protocol');
  return {
    name,
    kernel: options.path(['boot', 'kernel']) ?? '',
    ...(initrd === undefined ? {} : { initrd }),
    cmdline: options.text('cmdline', 'text') ?? '',
    protocol: BOOT_PROTOCOLS.find((it) => it === protocol) ?? 'auto',
    memoryBytes: memoryOf(options.last('memory')?.args['size']),
    cpus: Number(options.text('cpus', 'count') ?? 1),
    serial: serialOf(options),
    debugExit: options.all('debug').some((it) => it.items.some((item) => item.id === 'debugExit')),
    onReset: options.text('reset', 'action') === 'exit' ? 'exit' : 'reboot',
    ...(disks.length === 0 ? {} : { disks }),
    ...(cdrom === undefined ? {} : { cdrom }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(device === 'cdrom' || device === 'disk' || device === 'net' ? { bootDevice: device } : {}),
    ...(interfaces.length === 0 ? {} : { interfaces }),
    ...(cid === undefined ? {} : { vsockCid: Number(cid) }),
    ...(gdbSocket === undefined ? {} : { gdbSocket }),
    ...(encryption === 'sev' || encryption === 'seves' ? { memoryEncryption: encryption } : {}),
  };
}

/** Whole megabytes, as vmd rounds. */
function memoryOf(size: ValueNode | undefined): number {
  if (size === undefined) return VM_CONF_DEFAULT_MEMORY;
  const bytes = size.isNumber ? BigInt(size.text) : (scanScaled(size.text) ?? 0n);
  return Number(bytes >> 20n) * 2 ** 20;
}

function diskOf({ args }: DirectiveNode, options: Options): DiskConfig {
  const { path, format } = args;
  const wanted = format?.text.toLowerCase();
  return {
    path: path === undefined ? '' : options.resolve(path),
    ...(wanted === 'raw' || wanted === 'qcow2' ? { format: wanted } : {}),
  };
}

/** As many as are described, filled up with unattached ones to the number that `interfaces` asks for. */
function interfacesOf(options: Options): InterfaceConfig[] {
  const described = options.all('interface', 'localInterface', 'networkUser').map(interfaceOf);
  const wanted = Number(options.text('interfaces', 'count') ?? 0);
  while (described.length < wanted) described.push({ kind: 'tap' });
  return described;
}

function interfaceOf(node: DirectiveNode): InterfaceConfig {
  if (node.id === 'networkUser') return { kind: 'user', forwards: node.items.flatMap(forwardOf) };
  const find = (...ids: readonly string[]): DirectiveNode | undefined =>
    node.items.findLast((it) => ids.includes(it.id));
  const name = find('ifSwitch')?.args['name']?.text;
  const group = find('ifGroup')?.args['group']?.text;
  const rdomain = find('ifRdomain')?.args['id']?.text;
  const address = find('lladdr', 'lockedLladdr')?.args['address']?.text ?? '';
  const bytes = parseLladdr(address);
  const tap = node.args['tap']?.text;
  return {
    kind: node.id === 'localInterface' ? 'local' : 'tap',
    ...(tap === undefined || tap === 'tap' ? {} : { tap }),
    ...(name === undefined ? {} : { switch: name }),
    ...(group === undefined ? {} : { group }),
    ...(rdomain === undefined ? {} : { rdomain: Number(rdomain) }),
    ...(find('ifUp', 'ifDown')?.id === 'ifDown' ? { isDown: true } : {}),
    ...(bytes === undefined || isNoLladdr(bytes)
      ? {}
      : { lladdr: bytes.map((it) => it.toString(16).padStart(2, '0')).join(':') }),
    ...(find('lockedLladdr') === undefined ? {} : { isLocked: true }),
  };
}

function forwardOf({ args }: DirectiveNode): ForwardConfig[] {
  const from = parseForwardEnd(args['from']?.text ?? '');
  const to = parseForwardEnd(args['to']?.text ?? '');
  if (from === undefined || to === undefined) return [];
  const protocol = args['protocol']?.text === 'udp' ? 'udp' : 'tcp';
  return [{ protocol, hostAddress: from.address, hostPort: from.port, guestPort: to.port }];
}

/** com1 is a terminal when nothing is said, the others go nowhere. */
function serialOf(options: Options): SerialBackend[] {
  return Array.from({ length: COM_PORTS }, (_, i): SerialBackend => {
    const node = serialNode(options, i);
    const path = node?.args['path'];
    switch (node?.args['target']?.text) {
      case undefined:
        return i === 0 ? { kind: 'client' } : { kind: 'null' };
      case 'terminal':
        return { kind: 'client' };
      case 'stdio':
        return { kind: 'stdio' };
      case 'file':
        return path === undefined ? { kind: 'null' } : { kind: 'file', path: options.resolve(path) };
      default:
        return { kind: 'null' };
    }
  });
}

function serialNode(options: Options, port: number): DirectiveNode | undefined {
  return options.all('serial').findLast((it) => (it.args['port']?.text ?? 'com1') === `com${port + 1}`);
}

/** Each once, in words. */
function unsupportedParts(options: Options): string[] {
  const parts = UNSUPPORTED.flatMap((ids) => options.all(...ids).map(unsupportedPart));
  return [...new Set(parts.filter((it) => it !== undefined))];
}
