/** Variables and expressions of an image's frames: combines scopes, names and the evaluator. */
import { DwarfError } from '../dwarf/dwarfError.ts';
import type { Unit } from '../dwarf/unit.ts';
import { LruCache } from './base/lruCache.ts';
import { QueryError } from './base/queryError.ts';
import { evaluateAssign, evaluateNode } from './expressions/evaluator.ts';
import { type ElfSymbolFinder, NameResolver } from './expressions/nameResolution.ts';
import { parseExpression, parseTypeName } from './expressions/parser.ts';
import type { Node } from './expressions/syntaxTree.ts';
import type { KnownNames } from './expressions/tokenReader.ts';
import { codePlace } from './frames/codePlace.ts';
import type { FrameContext } from './frames/frameContext.ts';
import { FrameScope, type ScopeImage, type LocalDescription } from './frames/frameScope.ts';
import type { ImageNames } from './names/imageNames.ts';
import type { CompiledExpression, Variable } from './symbolImage.ts';
import { describe } from './types/typeDescription.ts';
import { DisplayedValue } from './values/displayedValue.ts';
import type { Language } from './values/literals.ts';

/** A frame without registers or memory: for constants, sizes and addresses of globals. */
export const NO_FRAME: FrameContext = { registers: new Map(), memory: { read: async () => undefined } };

const MAX_PARSED = 500;

export class ImageQueries {
  readonly #image: ScopeImage;
  readonly #names: ImageNames;
  readonly #elfSymbol: ElfSymbolFinder;
  /** What is a type depends on the unit: a tree is kept for the unit it was parsed in. */
  readonly #parsed = new LruCache<string, Node>(MAX_PARSED);

  constructor(image: ScopeImage, names: ImageNames, elfSymbol: ElfSymbolFinder) {
    this.#image = image;
    this.#names = names;
    this.#elfSymbol = elfSymbol;
  }

  async localsAt(frame: FrameContext, inlineDepth: number): Promise<Variable[]> {
    const variables = await new FrameScope(this.#image, frame, inlineDepth).variables();
    return variables.map(({ name, value, isParameter, depth }) => ({
      name,
      value: new DisplayedValue(value),
      isParameter,
      depth,
      expression: name,
    }));
  }

  /** Of every function of the chain, innermost first. */
  describeLocals(address: bigint, chain: readonly { readonly function: string }[]): LocalDescription[] {
    return chain.flatMap((one, depth) =>
      new FrameScope(this.#image, this.#frameAt(address), depth)
        .describe()
        .map((local) => ({ ...local, function: one.function, inlineDepth: depth })),
    );
  }

  async compile(text: string, frame: FrameContext, inlineDepth: number): Promise<CompiledExpression> {
    return this.#guard(async () => {
      const resolver = this.#resolver(frame, inlineDepth);
      return this.#compiled(text, await this.#parse(text, resolver.scope, resolver.names));
    });
  }

  /** Parsed once for all frames of the code at `address`. */
  async compileAt(text: string, address: bigint): Promise<CompiledExpression> {
    return this.compile(text, this.#frameAt(address), 0);
  }

  /** Symbols without a type do not count: their address is known without a frame. */
  async knows(name: string, frame: FrameContext, inlineDepth: number): Promise<boolean> {
    try {
      const value = await this.#resolver(frame, inlineDepth).names.variable(name, undefined);
      return value !== undefined && value.bare.kind !== 'unknown';
    } catch (error) {
      if (error instanceof QueryError) return true; // a macro that means nothing here
      throw error;
    }
  }

  languageAt(address: number): Language {
    return codePlace(this.#image, address, 0).language;
  }

  async describeType(name: string): Promise<string | undefined> {
    // Types whose names a parser would trip over (`&str`, `(u8, char)`) are first tried as they are.
    const base = /^[\w\s:*]+$/.test(name) ? parseTypeName(name).base : name;
    if (this.#names.type(base, undefined) === undefined) await this.#names.ensureIndex(base);
    const type = this.#names.type(base, undefined);
    return type && describe(type, true);
  }

  #compiled(text: string, node: Node): CompiledExpression {
    return {
      text,
      assigns: node.kind === 'assign',
      evaluate: (frame, inlineDepth = 0) =>
        this.#guard(() => this.#evaluateNode(node, text, frame, inlineDepth)),
      place: (frame, inlineDepth = 0) =>
        this.#guard(() =>
          this.#evaluateNode(node.kind === 'assign' ? node.place : node, text, frame, inlineDepth),
        ),
      assignment: (frame, inlineDepth = 0) =>
        this.#guard(async () => {
          if (node.kind !== 'assign') throw new QueryError('there is no assignment', node.column);
          const { names } = this.#resolver(frame, inlineDepth);
          return evaluateAssign(node.place, node.value, names.evaluationScope(), text);
        }),
    };
  }

  async #evaluateNode(
    node: Node,
    text: string,
    frame: FrameContext,
    inlineDepth: number,
  ): Promise<DisplayedValue> {
    const { names } = this.#resolver(frame, inlineDepth);
    return new DisplayedValue(await evaluateNode(node, names.evaluationScope(), text));
  }

  #resolver(frame: FrameContext, inlineDepth: number): { scope: FrameScope; names: NameResolver } {
    const scope = new FrameScope(this.#image, frame, inlineDepth);
    return { scope, names: new NameResolver(this.#image, this.#names, this.#elfSymbol, scope) };
  }

  /** A name that may be a type of another unit needs the index before the tree can be trusted. */
  async #parse(text: string, scope: FrameScope, names: NameResolver): Promise<Node> {
    const key = `${unitKey(scope.unit)}:${scope.functionName ?? ''}:${text}`;
    const before = this.#parsed.get(key);
    if (before !== undefined) return before;
    let needsIndex = false;
    const noticed = (isKnown: boolean, name: string): boolean => {
      needsIndex ||= !isKnown && names.isUnknown(name);
      return isKnown;
    };
    const known: KnownNames = {
      language: scope.language,
      isType: (name) => noticed(names.isType(name), name),
      isTemplate: (name) => noticed(names.isTemplate(name), name),
    };
    let node = parsedOrMistake(text, known);
    if (needsIndex) {
      await this.#names.ensureIndex();
      node = parsedOrMistake(text, known);
    }
    if (node instanceof QueryError) throw node;
    this.#parsed.set(key, node, 1);
    return node;
  }

  #frameAt(address: bigint): FrameContext {
    const pc = this.#image.machine.names[this.#image.machine.programCounter] as string;
    return { ...NO_FRAME, registers: new Map([[pc, address]]) };
  }

  async #guard<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      if (error instanceof DwarfError) throw new QueryError(error.message);
      throw error;
    }
  }
}

function parsedOrMistake(text: string, known: KnownNames): Node | QueryError {
  try {
    return parseExpression(text, known);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}

function unitKey(unit: Unit | undefined): string {
  return unit === undefined ? '' : `${unit.file.id}${unit.header.section.name}${unit.header.offset}`;
}
