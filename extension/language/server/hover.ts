/** Hover and signature help. */
import { type Hover, MarkupKind, type SignatureHelp } from 'vscode-languageserver/node';
import { directive } from '../../../vmm-core/vmConf/directives.ts';
import { hoverText } from '../../../vmm-core/vmConf/documentation.ts';
import type { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import type { ConfigTree } from '../../../vmm-core/vmConf/syntaxTree.ts';
import { MIN_MEMORY, scanScaled } from '../../../vmm-core/config/values.ts';
import { contextAt } from './completion.ts';
import { occurrenceAt, occurrences, spotAt, statementAt } from './occurrences.ts';
import { rangeOf } from './workspace.ts';

export function hover(tree: ConfigTree, file: SourceFile, offset: number): Hover | undefined {
  const macro = statementAt(tree, file, offset)?.macroUses.find(
    (it) => it.file === file && it.start <= offset && offset <= it.end,
  );
  if (macro?.definition !== undefined) {
    return text(`\`$${macro.name}\` = \`${macro.definition.value}\``, rangeOf(macro));
  }
  const spot = spotAt(tree, file, offset);
  if (spot === undefined) return undefined;
  const { node, word, value, argument } = spot;
  if (word !== undefined) return text(hoverText(node.id), rangeOf(word));
  const [first] = value?.tokens ?? [];
  if (value === undefined || first === undefined) return undefined;
  if (argument?.means === 'bytes') {
    const bytes = value.isNumber ? BigInt(value.text) : scanScaled(value.text);
    if (bytes !== undefined) return text(`${bytes} bytes, ${bytes / MIN_MEMORY} MiB`, rangeOf(first));
  }
  const name = occurrenceAt(tree, file, offset);
  if (name !== undefined && name.kind !== 'macro') {
    const uses = [...occurrences(tree)].filter(
      (it) => it.kind === name.kind && it.name === name.name && !it.isDeclaration,
    ).length;
    return text(
      `${name.kind === 'vm' ? 'VM' : name.kind} \`${name.name}\`, used ${uses} ${uses === 1 ? 'time' : 'times'}`,
      rangeOf(name),
    );
  }
  return text(hoverText(node.id), rangeOf(first));
}

function text(value: string, range: Hover['range']): Hover {
  return { contents: { kind: MarkupKind.Markdown, value }, ...(range === undefined ? {} : { range }) };
}

/**
 * The form of the current directive or, when invoked manually at the beginning of one, what the block allows.
 */
export function signatureHelp(
  tree: ConfigTree,
  file: SourceFile,
  offset: number,
  isByHand: boolean,
): SignatureHelp | undefined {
  const { expectations, block } = contextAt(tree, file, offset);
  const argument = expectations.find((it) => it.kind === 'argument');
  if (argument?.kind === 'argument') {
    const label = directive(argument.id).form.replaceAll(/[`*]/g, '');
    return signature(label, hoverText(argument.id));
  }
  const ids = expectations.flatMap((it) => (it.kind === 'directive' ? [it.id] : []));
  if (!isByHand || ids.length === 0) return undefined;
  const words = ids.map((id) => directive(id).words.join(' ')).filter((it) => it !== '');
  return signature(`${block}: ${words.join(' | ')}`, ids.map((id) => `- ${directive(id).form}`).join('\n'));
}

function signature(label: string, value: string): SignatureHelp {
  const documentation = { kind: MarkupKind.Markdown, value };
  return { signatures: [{ label, documentation }], activeSignature: 0 };
}
