/** Tokens of vm.conf, with their positions. */
import type { SourceFile } from './sourceFile.ts';

/**
 * `word`, `string` (quoted) and `number` are values, `keyword` is a reserved word, `mark` one character,
 * `error` a token that the lexer has reported already.
 */
export type TokenKind = 'word' | 'string' | 'number' | 'keyword' | 'mark' | 'newline' | 'end' | 'error';

/** Offsets move when the text before them changes (reparse.ts), hence not readonly. */
export interface Token {
  readonly kind: TokenKind;
  /** The value: without quotes and escapes, macros expanded. */
  readonly text: string;
  file: SourceFile;
  start: number;
  end: number;
  /**
   * The macro that all or part of it came from; start and end are then those of the use and what is glued to
   * it.
   */
  readonly macro?: MacroUse;
}

export interface MacroDefinition {
  readonly name: string;
  readonly value: string;
  /** Where its name is written; absent for `-D name=value`. */
  readonly token?: Token;
  /** From `-D`: later definitions in files do not replace it. */
  readonly isFixed: boolean;
}

/** `$name`. */
export interface MacroUse {
  readonly name: string;
  readonly definition: MacroDefinition | undefined;
  file: SourceFile;
  start: number;
  end: number;
}

export interface Comment {
  file: SourceFile;
  start: number;
  /** Before the newline. */
  end: number;
}

/**
 * Reserved everywhere when not quoted: parse.y's table. `add`, `id` and `size` appear in no rule. Mapped to
 * themselves, so that tokens share them.
 */
export const KEYWORDS: ReadonlyMap<string, string> = new Map(
  (
    'add agentx allow boot cdrom context delay device disable disk down enable format group id include inet6 instance interface ' +
    'interfaces lladdr local locked memory net owner parallel path prefix rdomain sev seves size socket staggered start switch up vm'
  )
    .split(' ')
    .map((it) => [it, it]),
);

export function isValue(token: Token): boolean {
  return token.kind === 'word' || token.kind === 'string';
}
