/**
 * Everything wrong with a configuration: each statement by itself (kept until it changes), then the
 * statements against each other.
 */
import { checkStatement } from './checkStatement.ts';
import type { ConfigHost } from '../config/configHost.ts';
import { COMPARED_DIRECTIVES, directive } from './directives.ts';
import { type ForwardConfig, forwardsClash } from '../config/settings/forwards.ts';
import { writtenForward } from '../config/settings/writtenNetworks.ts';
import { Findings } from './findings.ts';
import { byPlace, distinct, type Problem } from './problem.ts';
import { type ConfigTree, type DirectiveNode, type Statement, type ValueNode, vmName } from './syntaxTree.ts';
import type { MacroDefinition } from './token.ts';
import { isNoLladdr, lladdrText, parseLladdr, PLAIN_LLADDR } from '../config/values.ts';

/** Errors and warnings of lexer, parser and checks, in the order of the text, the root file first. */
export function checkTree(tree: ConfigTree, host: ConfigHost): Problem[] {
  const problems: Problem[] = [];
  for (const statement of tree.statements) {
    statement.findings ??= checkStatement(statement, host, tree.dialect);
    // Not as arguments of one call: a statement may have more problems than the stack has room for.
    for (const it of statement.problems) problems.push(it);
    for (const it of statement.findings) problems.push(it);
  }
  for (const it of checkBetween(tree, host)) problems.push(it);
  for (const it of unusedMacros(tree)) problems.push(it);
  const order = new Map(tree.files.map((file, i) => [file, i]));
  // There may be thousands at every key press: a single file takes the fast path, and they are nearly in
  // order.
  problems.sort((a, b) =>
    a.file === b.file ? byPlace(a, b) : (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || byPlace(a, b),
  );
  return distinct(problems);
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((it) => it.severity === 'error');
}

/** Its VM, for messages and for looking up an instance's parent. */
interface Declared {
  readonly node: DirectiveNode;
  readonly name: ValueNode;
}

interface KnownForward {
  readonly forward: ForwardConfig;
  readonly vm: string;
}

interface Known {
  readonly switches: ReadonlyMap<string, Declared>;
  readonly vms: Map<string, Declared>;
  readonly taps: Map<string, string>;
  readonly lladdrs: Map<string, string>;
  /** By protocol and port. */
  readonly forwards: Map<string, KnownForward[]>;
  readonly allVms: ReadonlyMap<string, Declared>;
}

function checkBetween(tree: ConfigTree, host: ConfigHost): Problem[] {
  const findings = new Findings(host, tree.dialect);
  const allVms = new Map<string, Declared>();
  for (const { node } of tree.statements) {
    const name = node === undefined || node.id !== 'vm' ? undefined : vmName(node);
    if (node !== undefined && name !== undefined && !allVms.has(name.text))
      allVms.set(name.text, { node, name });
  }
  const switches = declaredSwitches(tree.statements, findings);
  const known: Known = {
    ...{ switches, allVms, vms: new Map(), taps: new Map(), lladdrs: new Map() },
    forwards: new Map(),
  };
  for (const { node } of tree.statements) if (node?.id === 'vm') checkOneVm(node, known, findings);
  return findings.problems;
}

function declaredSwitches(statements: readonly Statement[], findings: Findings): Map<string, Declared> {
  const switches = new Map<string, Declared>();
  for (const { node } of statements) {
    const name = node?.args['name'];
    if (node?.id !== 'switch' || name === undefined) continue;
    if (switches.has(name.text))
      findings.warning(name, 'duplicate-switch', `switch "${name.text}" exists already`);
    else switches.set(name.text, { node, name });
  }
  return switches;
}

function checkOneVm(node: DirectiveNode, known: Known, findings: Findings): void {
  const name = vmName(node);
  if (name === undefined) return;
  if (node.args['instance'] !== undefined) checkInstance(node, known, findings);
  if (known.vms.has(name.text)) {
    findings.loadError(name, 'duplicate-vm', `VM "${name.text}" exists already: vmd silently skips this one`);
  } else known.vms.set(name.text, { node, name });
  for (const item of node.items)
    if (COMPARED_DIRECTIVES.has(item.id)) compare(item, name.text, known, findings);
}

/** Checks a directive and those inside it against what came before. */
function compare(node: DirectiveNode, vm: string, known: Known, findings: Findings): void {
  const { compared } = directive(node.id);
  const value = compared === undefined ? undefined : node.args[compared.name];
  if (value !== undefined) {
    if (compared?.means === 'tap') checkTap(value, vm, known, findings);
    else if (compared?.means === 'switch') checkSwitch(value, known, findings);
    else if (compared?.means === 'hostPort') checkForward(node, value, vm, known, findings);
    else checkLladdr(value, vm, known, findings);
  }
  for (const item of node.items) if (COMPARED_DIRECTIVES.has(item.id)) compare(item, vm, known, findings);
}

function checkTap(tap: ValueNode, vm: string, { taps }: Known, findings: Findings): void {
  if (tap.text === 'tap') return;
  const user = taps.get(tap.text);
  if (user !== undefined) findings.loadError(tap, 'reused', `${tap.text} is used by VM "${user}" already`);
  else taps.set(tap.text, vm);
}

function checkSwitch(name: ValueNode, { switches }: Known, findings: Findings): void {
  if (switches.has(name.text)) return;
  const message = `no switch "${name.text}" is described: for OpenBSD's vmd the interface is on none`;
  findings.warning(name, 'unknown-switch', message, name.text);
}

function checkLladdr(address: ValueNode, vm: string, known: Known, findings: Findings): void {
  const key = lladdrKey(address.text);
  if (key === undefined) return;
  const user = known.lladdrs.get(key);
  if (user !== undefined) {
    findings.warning(
      address,
      'reused',
      `${address.text} is the address of an interface of VM "${user}" already`,
    );
  } else known.lladdrs.set(key, vm);
}

/** Each port of a range is looked up: there are few, and a file may have thousands of VMs. */
function checkForward(
  node: DirectiveNode,
  from: ValueNode,
  vm: string,
  { forwards }: Known,
  findings: Findings,
): void {
  const forward = writtenForward(node);
  if (forward === undefined) return;
  const { protocol, hostPort, hostPath, count = 1 } = forward;
  const keys =
    hostPort === undefined
      ? [`unix:${hostPath ?? ''}`]
      : Array.from({ length: count }, (_, i) => `${protocol}:${hostPort + i}`);
  const others = keys.flatMap((key) => forwards.get(key) ?? []);
  const clash = others.find((it) => forwardsClash(it.forward, forward));
  if (clash !== undefined)
    findings.warning(from, 'reused', `VM "${clash.vm}" forwards from ${from.text} already`);
  for (const key of keys) {
    const there = forwards.get(key);
    if (there === undefined) forwards.set(key, [{ forward, vm }]);
    else if (clash === undefined) there.push({ forward, vm });
  }
}

/**
 * The same for every spelling of an address; undefined when there is none. The usual spellings take a fast
 * path.
 */
function lladdrKey(text: string): string | undefined {
  if (PLAIN_LLADDR.test(text)) {
    const key = text.toLowerCase().replace(/\b[0-9a-f]\b/g, '0$&');
    return key === '00:00:00:00:00:00' ? undefined : key;
  }
  const bytes = parseLladdr(text);
  if (bytes === undefined || isNoLladdr(bytes)) return undefined;
  return lladdrText(bytes);
}

function checkInstance(node: DirectiveNode, known: Known, findings: Findings): void {
  const { name } = node.args;
  if (name === undefined) return;
  const parent = known.vms.get(name.text);
  if (parent === undefined) {
    const isLater = known.allVms.has(name.text);
    const message = isLater
      ? `VM "${name.text}" must be declared before its instances`
      : `there is no VM "${name.text}" to make an instance of`;
    return findings.loadError(name, 'unknown-parent', message, name.text);
  }
  const isAllowed = parent.node.items.some((it) => it.id === 'allowInstance');
  if (!isAllowed)
    findings.warning(
      name,
      'instance',
      `VM "${name.text}" allows no instances ("allow instance"): only root can start this one`,
    );
  const parentDisks = new Set(disks(parent.node).map((it) => it.text));
  for (const disk of disks(node)) {
    if (parentDisks.has(disk.text))
      findings.loadError(disk, 'instance', `this disk is VM "${name.text}"'s: an instance needs its own`);
  }
  for (const item of node.items) {
    if (item.id === 'allowInstance' && item.items.some((it) => it.id !== 'allowOwner')) {
      const message = `an instance has the "allow instance" of VM "${name.text}" and cannot have its own`;
      findings.loadError(item.words, 'instance', message);
    }
  }
  checkInstanceOwner(node, parent.node, findings);
}

/** To vmd, root means no owner: uid and gid 0 are its initial values. */
function checkInstanceOwner(node: DirectiveNode, parent: DirectiveNode, findings: Findings): void {
  const own = ownerOf(node);
  const base = ownerOf(parent);
  const at = own.value ?? vmName(node) ?? node.words;
  const vm = `VM "${node.args['name']?.text ?? ''}"`;
  if (!ROOT_USERS.has(own.user) && own.user !== base.user)
    findings.loadError(at, 'instance', `the owner of ${vm}'s instances can only be root or its own`);
  if (!ROOT_GROUPS.has(own.group) && own.group !== base.group) {
    const wanted = base.group === '' ? 'no group' : `"owner :${base.group}"`;
    findings.loadError(at, 'instance', `an instance must have the group of ${vm}: give it ${wanted}`);
  }
}

const ROOT_USERS: ReadonlySet<string> = new Set(['', 'root', '0']);
const ROOT_GROUPS: ReadonlySet<string> = new Set(['wheel', 'root']);

/** The last one counts. */
function ownerOf(node: DirectiveNode): { user: string; group: string; value: ValueNode | undefined } {
  const value = node.items.findLast((it) => it.id === 'owner')?.args['owner'];
  const [, user = '', group = ''] = /^([^:]*):?(.*)$/s.exec(value?.text ?? '') ?? [];
  return { user, group, value };
}

function disks(node: DirectiveNode): ValueNode[] {
  return node.items.flatMap(({ id, args }) => {
    const path = directive(id).args?.find((it) => it.means === 'ownFile');
    return (path === undefined ? undefined : args[path.name]) ?? [];
  });
}

/** As vmd warns: a later definition of the same name starts afresh. */
function unusedMacros(tree: ConfigTree): Problem[] {
  const unused = new Map<string, MacroDefinition>();
  for (const { node, macroUses } of tree.statements) {
    for (const use of macroUses) unused.delete(use.name);
    const name = node?.id === 'macro' ? node.args['name'] : undefined;
    const [token] = name?.tokens ?? [];
    if (name === undefined || token === undefined || tree.macros.get(name.text)?.isFixed === true) continue;
    unused.set(name.text, { name: name.text, value: '', token, isFixed: false });
  }
  return [...unused.values()].flatMap(({ name, token }): Problem[] => {
    if (token === undefined) return [];
    const { file, start, end } = token;
    return [
      {
        severity: 'warning',
        code: 'unused-macro',
        message: `macro "${name}" is not used`,
        file,
        start,
        end,
        subject: name,
      },
    ];
  });
}
