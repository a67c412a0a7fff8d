/**
 * One line of vm.conf as the manual describes it: the form that the parser reads, what completion and hover
 * show, and how it is checked. The language's own directives are in directives.ts, a setting's in its row.
 */
import type { ConfigHost } from './configHost.ts';
import type { ProblemCode } from './problemCode.ts';

/** The blocks a directive can be in. */
export const BLOCKS = [
  'file',
  'agentx',
  'switch',
  'vm',
  'interface',
  'allow',
  'network',
  'debug',
  'disk',
] as const;
export type Block = (typeof BLOCKS)[number];

/**
 * `string`: one or more values, concatenated; `word`: exactly one value; `number`; `size`: a number or a
 * word; `owner`: a number or a word. A list is a choice of words.
 */
export type ArgumentKind = 'string' | 'word' | 'number' | 'size' | 'owner' | readonly string[];

/**
 * What the value denotes, which decides how VMs are checked against each other and what an editor does with
 * it. `path`: a file; `ownFile`: one that VMs cannot share; `bytes`: a size; `switch`: the name of one;
 * `tap`, `etherAddress`: only one interface may have it; `hostPort`: what a forward listens at.
 */
export type Meaning = 'path' | 'ownFile' | 'bytes' | 'switch' | 'tap' | 'etherAddress' | 'hostPort';

export interface Argument {
  readonly name: string;
  readonly kind: ArgumentKind;
  readonly means?: Meaning;
  readonly isOptional?: boolean;
  /** A word that precedes it. */
  readonly after?: string;
  /** What completion offers when other values are possible too. */
  readonly suggestions?: readonly string[];
}

export interface Directive {
  readonly block: Block;
  /** The words it begins with. */
  readonly words: readonly string[];
  readonly args?: readonly Argument[];
  /** The block that may follow, and whether it must. */
  readonly opens?: Block;
  /** Unknown to OpenBSD's vmd. */
  readonly isExtension?: boolean;
  /** As the manual writes it: markdown, `*argument*`. */
  readonly form: string;
  /** One or more sentences of markdown. */
  readonly text: string;
  /** What completion inserts after the words, in VS Code's snippet syntax. */
  readonly snippet?: string;
  /**
   * May be given once in a VM; directives with the same phrase count as one, as `boot` and `kernel` do.
   */
  readonly isOnce?: true | string;
  /** An instance inherits it from its parent whatever other directives of the setting it has itself. */
  readonly isApart?: true;
  /** A VM that has it has something to boot. */
  readonly isBootable?: true;
  /** Checks its values by vmd's rules and against the host. The parser checks its form. */
  readonly check?: (written: Written, findings: DirectiveFindings) => void;
}

/** A value as written in a file. */
export interface WrittenValue {
  readonly text: string;
  readonly isNumber: boolean;
  /** The tokens it consists of: at least one. */
  readonly tokens: readonly { readonly file: { readonly path: string } }[];
}

/** A directive as written in a file, read without errors. */
export interface Written {
  readonly id: string;
  readonly args: Readonly<Record<string, WrittenValue | undefined>>;
  /** The contents of its block or list. */
  readonly items: readonly Written[];
}

/**
 * Where a directive's check reports: at the argument of that name or, without one, at the directive's words.
 */
export interface DirectiveFindings {
  readonly host: ConfigHost;
  /** What has been seen of this VM so far, by keys that each check chooses. */
  readonly tally: Map<string, number>;
  /** vmd -n refuses it. */
  error(at: string | undefined, code: ProblemCode, message: string, subject?: string): void;
  /**
   * vmd -n refuses it, or does on a machine like this one; files are often written for another. We warn.
   */
  hostError(at: string | undefined, code: ProblemCode, message: string, subject?: string): void;
  warning(at: string | undefined, code: ProblemCode, message: string, subject?: string): void;
  /** vmd takes it and we do not, or not quite: told when the file is for us. */
  remark(at: string | undefined, message: string): void;
  /** Refuses what was given before in this VM; `what` names it and is what is remembered. */
  once(what: string): void;
}

/** The absolute path that a value names: relative ones start from the file it is in. */
export function pathOf({ text, tokens }: WrittenValue, host: ConfigHost): string {
  return host.resolve(text, tokens[0]?.file.path ?? '');
}
