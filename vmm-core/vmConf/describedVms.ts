/**
 * From a checked vm.conf to what machine/ assembles: one VmConfig per `vm`, with what an instance inherits
 * from its parent.
 */
import type { ConfigHost } from '../config/configHost.ts';
import { DEBUG_SETTINGS } from '../config/debugSettings.ts';
import { pathOf, type WrittenValue } from '../config/directive.ts';
import { directive } from './directives.ts';
import { valuesOf } from '../config/rows.ts';
import type { Setting, WrittenVm } from '../config/setting.ts';
import { SETTINGS } from '../config/settings.ts';
import { type ConfigTree, type DirectiveNode, vmName } from './syntaxTree.ts';
import type { VmConfig } from '../config/vmConfig.ts';

/** One VM in a file. */
export interface DescribedVm {
  readonly config: VmConfig;
  /** Not to be started with the others. */
  readonly isDisabled: boolean;
  readonly instanceOf?: string;
  readonly owner?: string;
  readonly debug: DescribedDebugging;
  /** In words: what the file asks for that this VMM cannot do yet. */
  readonly unsupported: readonly string[];
}

export interface DescribedDebugging {
  /** Start stopped. */
  readonly wait: boolean;
  readonly symbols: readonly string[];
  readonly breakpoints: 'auto' | 'hw' | 'sw';
}

/** For a tree without errors; the first VM of a name counts, as in vmd. */
export function describedVms(tree: ConfigTree, host: ConfigHost): DescribedVm[] {
  const nodes = new Map<string, DirectiveNode>();
  const result: DescribedVm[] = [];
  const top = tree.statements.flatMap(({ node }) => (node === undefined || node.id === 'vm' ? [] : [node]));
  for (const { node } of tree.statements) {
    const name = node?.id === 'vm' ? vmName(node) : undefined;
    if (node === undefined || name === undefined || nodes.has(name.text)) continue;
    nodes.set(name.text, node);
    const parentName = node.args['instance'] === undefined ? undefined : node.args['name']?.text;
    const parent = parentName === undefined ? undefined : nodes.get(parentName);
    const options = new Options(name.text, { node, parent, top }, host);
    result.push(describedVm(options, parentName));
  }
  return result;
}

/** A VM, the one that it is an instance of, and what stands beside them in the file. */
interface Declared {
  readonly node: DirectiveNode;
  readonly parent: DirectiveNode | undefined;
  readonly top: readonly DirectiveNode[];
}

/** Looks in the VM, then in its parent for what instances inherit. */
class Options implements WrittenVm {
  readonly name: string;
  readonly #own: readonly DirectiveNode[];
  readonly #inherited: readonly DirectiveNode[];
  readonly #top: readonly DirectiveNode[];
  readonly #host: ConfigHost;

  constructor(name: string, { node, parent, top }: Declared, host: ConfigHost) {
    this.name = name;
    this.#top = top;
    this.#own = node.items;
    this.#inherited = (parent?.items ?? []).filter((it) => directive(it.id).isInherited);
    this.#host = host;
  }

  all(...ids: readonly string[]): readonly DirectiveNode[] {
    const own = this.#own.filter((it) => ids.includes(it.id));
    return own.length > 0 ? own : this.#inherited.filter((it) => ids.includes(it.id));
  }

  last(...ids: readonly string[]): DirectiveNode | undefined {
    return this.all(...ids).at(-1);
  }

  allDebug(id: string): readonly DirectiveNode[] {
    return this.all('debug').flatMap(({ items }) => items.filter((it) => it.id === id));
  }

  top(id: string): readonly DirectiveNode[] {
    return this.#top.filter((it) => it.id === id);
  }

  path(value: WrittenValue): string {
    return pathOf(value, this.#host);
  }
}

function describedVm(vm: Options, instanceOf: string | undefined): DescribedVm {
  const owner = vm.last('owner')?.args['owner']?.text;
  const { stopOnEntry, symbolFiles, breakpointMode } = DEBUG_SETTINGS;
  return {
    config: valuesOf(SETTINGS, ({ vmConf }) => vmConf?.read(vm)),
    isDisabled: vm.last('enable', 'disable')?.id === 'disable',
    ...(instanceOf === undefined ? {} : { instanceOf }),
    ...(owner === undefined ? {} : { owner }),
    debug: {
      wait: stopOnEntry.vmConf.read(vm),
      symbols: symbolFiles.vmConf.read(vm).map((it) => it.path),
      breakpoints: breakpointMode.vmConf.read(vm),
    },
    unsupported: unsupportedParts(vm),
  };
}

/** Each once, in words. */
function unsupportedParts(vm: Options): string[] {
  const rows: readonly Setting<unknown>[] = Object.values(SETTINGS);
  const parts = rows.flatMap(({ vmConf }) => {
    if (vmConf === undefined) return [];
    const ids = Object.keys(vmConf.directives);
    const together = ids.filter((id) => vmConf.directives[id]?.isApart !== true);
    const apart = ids.filter((id) => !together.includes(id));
    return [...vm.all(...together), ...apart.flatMap((id) => vm.all(id))].map(vmConf.unsupported);
  });
  return [...new Set(parts.filter((it) => it !== undefined))];
}
