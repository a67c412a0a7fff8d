/**
 * What is wrong inside one statement, regardless of the others: each directive by the check of its row in
 * directives.ts (the parser checks the grammar), then the statement as a whole. The result depends on the
 * statement and the host only, so an editor keeps it.
 */
import type { ConfigHost } from '../config/configHost.ts';
import { directive } from './directives.ts';
import { Findings, StatementFindings } from './findings.ts';
import { byPlace, type Problem } from './problem.ts';
import { type Dialect, type DirectiveNode, type Statement, vmName } from './syntaxTree.ts';
import { unsupportedSentence } from './unsupported.ts';
import { byteLength, isVmName, MAX_NAME_BYTES } from '../config/values.ts';

export function checkStatement(statement: Statement, host: ConfigHost, dialect: Dialect): readonly Problem[] {
  const { node } = statement;
  if (node === undefined) return [];
  const findings = new Findings(host, dialect);
  if (node.id === 'vm') checkVm(node, findings);
  else checkDirective(node, new StatementFindings(findings, node));
  if (node.id === 'switch' && statement.problems.length === 0) checkSwitch(node, findings);
  return findings.problems.sort(byPlace); // so each key press sorts what is nearly in order
}

/** And the contents of its block. */
function checkDirective(node: DirectiveNode, findings: StatementFindings): void {
  const { check, once } = directive(node.id);
  findings.beginWith(node);
  if (once !== undefined) findings.once(once);
  if (check !== undefined) check(node, findings);
  for (const item of node.items) checkDirective(item, findings);
}

/** For one whose options could all be read. */
function checkSwitch(node: DirectiveNode, findings: Findings): void {
  if (node.items.some((it) => it.id === 'switchInterface')) return;
  const name = node.args['name'];
  const message = `switch "${name?.text ?? ''}" needs an interface, such as "interface bridge0"`;
  findings.error(name ?? node.words, 'missing', message);
}

function checkVm(node: DirectiveNode, findings: Findings): void {
  checkNames(node, findings);
  const statement = new StatementFindings(findings, node);
  for (const item of node.items) {
    checkDirective(item, statement);
    checkSupported(item, node, findings);
  }
  if (node.args['instance'] === undefined) checkBootable(node, findings);
}

/** In the language, but not in this machine: vmd has them all. */
function checkSupported(item: DirectiveNode, vm: DirectiveNode, findings: Findings): void {
  const part = findings.dialect === 'vmd' ? undefined : directive(item.id).unsupported?.(item);
  if (part === undefined) return;
  findings.warning(item.words, 'not-supported', unsupportedSentence(vmName(vm)?.text ?? '', [part]));
}

function checkNames({ args }: DirectiveNode, findings: Findings): void {
  const { name, instance } = args;
  for (const value of [name, instance]) {
    if (value === undefined) continue;
    if (byteLength(value.text) > MAX_NAME_BYTES) {
      findings.error(value, 'too-long', `a VM's name must be shorter than ${MAX_NAME_BYTES + 1} bytes`);
    } else if (!isVmName(value.text)) {
      const rule = 'letters, digits, ".", "-" and "_", beginning with a letter or digit';
      findings.loadError(value, 'vm-name', `"${value.text}" cannot name a VM: a name has ${rule}`);
    } else if (value.tokens.length > 1) {
      findings.warning(
        value,
        'quotes-needed',
        `these words together name the VM "${value.text}"`,
        value.text,
      );
    }
  }
}

function checkBootable(node: DirectiveNode, findings: Findings): void {
  if (node.items.length === 0 || node.items.some((it) => directive(it.id).isBootable)) return;
  const name = node.args['name'];
  findings.loadError(
    name ?? node.words,
    'no-boot',
    `VM "${name?.text ?? ''}" has nothing to boot: give it a disk, a cdrom or a kernel`,
  );
}
