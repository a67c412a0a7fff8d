/** The entry point: from a path to the tree, everything wrong with it, and the VMs when nothing is. */
import { checkTree, hasErrors } from './checkTree.ts';
import { parseConfigFile, type ParseOptions } from './parseConfigFile.ts';
import type { Problem } from './problem.ts';
import { SourceFile } from './sourceFile.ts';
import type { ConfigTree } from './syntaxTree.ts';
import { type DescribedVm, describedVms } from './describedVms.ts';

export interface LoadedConfig {
  readonly tree: ConfigTree;
  readonly problems: readonly Problem[];
  /** Empty when there are errors: any error makes the whole load fail. */
  readonly vms: readonly DescribedVm[];
}

/** Undefined when the file itself cannot be read. */
export function loadConfigFile(path: string, options: ParseOptions): LoadedConfig | undefined {
  const text = options.host.readText(path);
  if (text === undefined) return undefined;
  const tree = parseConfigFile(new SourceFile(path, text), options);
  const problems = checkTree(tree, options.host);
  return { tree, problems, vms: hasErrors(problems) ? [] : describedVms(tree, options.host) };
}
