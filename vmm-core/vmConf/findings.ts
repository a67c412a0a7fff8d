/**
 * What checks have found, and where; the dialect decides the severity of what vmd -n does not check and of
 * what depends on the machine.
 */
import type { ConfigHost } from '../config/configHost.ts';
import type { DirectiveFindings } from '../config/directive.ts';
import type { Problem, Severity } from './problem.ts';
import type { ProblemCode } from '../config/problemCode.ts';
import { type Dialect, type DirectiveNode, spanOf, type ValueNode } from './syntaxTree.ts';
import type { Token } from './token.ts';

export class Findings {
  readonly problems: Problem[] = [];
  readonly host: ConfigHost;
  readonly dialect: Dialect;

  constructor(host: ConfigHost, dialect: Dialect) {
    this.host = host;
    this.dialect = dialect;
  }

  /** vmd -n refuses it. */
  error(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add('error', at, code, message, subject);
  }

  /** vmd -n accepts it, loading it fails. */
  loadError(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add(this.dialect === 'vmd' ? 'warning' : 'error', at, code, message, subject);
  }

  /** vmd -n refuses it on a machine like this one; files are often written for another. */
  hostError(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add(this.dialect === 'vmd' ? 'error' : 'warning', at, code, message, subject);
  }

  warning(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add('warning', at, code, message, subject);
  }

  #add(
    severity: Severity,
    at: ValueNode | readonly Token[],
    code: ProblemCode,
    message: string,
    subject?: string,
  ): void {
    const { file, start, end } = spanOf('tokens' in at ? at.tokens : at);
    // Hot, as in the parser: without spreading.
    if (subject === undefined) this.problems.push({ severity, code, message, file, start, end });
    else this.problems.push({ severity, code, message, file, start, end, subject });
  }
}

/**
 * For the directives of one statement, in turn: they know arguments by name, and nothing of positions.
 */
export class StatementFindings implements DirectiveFindings {
  readonly tally = new Map<string, number>();
  readonly #findings: Findings;
  #node: DirectiveNode;

  constructor(findings: Findings, node: DirectiveNode) {
    this.#findings = findings;
    this.#node = node;
  }

  get host(): ConfigHost {
    return this.#findings.host;
  }

  /** From now on, findings are about this directive. */
  beginWith(node: DirectiveNode): void {
    this.#node = node;
  }

  error(at: string | undefined, code: ProblemCode, message: string, subject?: string): void {
    this.#findings.error(this.#place(at), code, message, subject);
  }

  hostError(at: string | undefined, code: ProblemCode, message: string, subject?: string): void {
    this.#findings.hostError(this.#place(at), code, message, subject);
  }

  warning(at: string | undefined, code: ProblemCode, message: string, subject?: string): void {
    this.#findings.warning(this.#place(at), code, message, subject);
  }

  remark(at: string | undefined, message: string): void {
    if (this.#findings.dialect !== 'vmd') this.warning(at, 'not-supported', message);
  }

  once(what: string): void {
    if (this.tally.has(what)) this.error(undefined, 'repeated', `${what} is given more than once`);
    this.tally.set(what, 1);
  }

  #place(at: string | undefined): ValueNode | readonly Token[] {
    return (at === undefined ? undefined : this.#node.args[at]) ?? this.#node.words;
  }
}
