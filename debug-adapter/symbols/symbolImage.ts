/**
 * What the debug adapter asks of one ELF file with its DWARF: the public interface of symbols/. Policy is in
 * this folder, formats in ../dwarf (DWARF) and vmm-core/elf (ELF). A type that one subfolder answers with is
 * declared there: values in values/, frames in frames/, places of code in breakpoints/. openSymbolImage.ts is
 * the entry point.
 *
 * Everything is lazy: opening reads the ELF header and the section table; an address question reads
 * .debug_aranges and the line table of the one unit concerned. All addresses are link-time addresses plus the
 * image's `loadBias`, as unsigned 64-bit bigints.
 *
 * Nothing here throws for bad debug information: a broken unit answers as if it had none, and says so in
 * `problems()`.
 */
import type { ByteSource } from '../../vmm-core/elf/byteSource.ts';
import type { Decompressors } from '../../vmm-core/elf/compressedSection.ts';
import type { CodeLocation, FunctionLocation } from './breakpoints/breakpointPlaces.ts';
import type { FrameContext } from './frames/frameContext.ts';
import type { LocalDescription } from './frames/frameScope.ts';
import type { FrameDescription } from './frames/frameText.ts';
import type { UnwoundFrame } from './frames/frameUnwinder.ts';
import type { LoadIndex } from './index/imageIndex.ts';
import type { Macro } from './names/imageMacros.ts';
import type { Language } from './values/literals.ts';
import type { Assignment, Value, NamedValue } from './values/value.ts';

/** Half open: `end` is the first address after it. */
export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

export interface SourcePosition {
  /** As recorded by the compiler, joined with the unit's compilation directory, `.` and `..` resolved. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 when the line has no column (gcc -gno-column-info, assemblers). */
  readonly column: number;
}

export interface LineRow extends SourcePosition {
  /** The addresses of this row of the line table. */
  readonly range: AddressRange;
  /** Recommended breakpoint location (DWARF 5 §6.2.2 is_stmt). */
  readonly isStatement: boolean;
}

export interface FunctionRange {
  /** As its programmer wrote it: `vfs_read`, `ns::Class::method`, `core::fmt::write`. */
  readonly name: string;
  /**
   * The piece of code that contains the address asked for: functions split into hot and cold parts have
   * several.
   */
  readonly start: bigint;
  readonly end: bigint;
  /** Where it is declared, when DWARF knows. */
  readonly file?: string;
  readonly line?: number;
}

export interface SymbolAt {
  readonly name: string;
  /** From the symbol's value. */
  readonly offset: bigint;
}

/** One function of an inline chain. */
export interface InlineFrame {
  readonly function: string;
  /**
   * Where this function is executing: for the innermost the line of the address, for the others the line of
   * the inlined call.
   */
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** Whether the function is an inlined copy in the next one of the chain. False for the last one only. */
  readonly inlined: boolean;
  /** The range of the copy that contains the address. */
  readonly range: AddressRange;
}

export interface Variable extends NamedValue {
  readonly isParameter: boolean;
  /**
   * 0 for the function's own, more for those of blocks inside it. An inner variable hides an outer one of the
   * same name.
   */
  readonly depth: number;
}

/**
 * Questions that may concern a thousand units, answered in slices that leave the event loop to others. They
 * do not wait for an index that is being built: see prepareIndex().
 */
export interface SlicedQuestions {
  /** Of files(), those with that last component. */
  filesNamed(name: string): Promise<readonly string[]>;
  addressesOf(file: string, line: number, column?: number): Promise<readonly CodeLocation[]>;
  breakpointLines(
    file: string,
    fromLine: number,
    toLine: number,
  ): Promise<readonly { line: number; columns: readonly number[] }[]>;
  functionByName(name: string): Promise<readonly FunctionLocation[]>;
}

/** An expression parsed once, for many evaluations: breakpoint conditions, watches. */
export interface CompiledExpression {
  readonly text: string;
  /** Whether it changes something: `assignment` says what to write. */
  readonly assigns: boolean;
  /** Throws QueryError; also for an assignment. */
  evaluate(frame: FrameContext, inlineDepth?: number): Promise<Value>;
  /** What an assignment assigns to; for another expression its value. */
  place(frame: FrameContext, inlineDepth?: number): Promise<Value>;
  assignment(frame: FrameContext, inlineDepth?: number): Promise<Assignment>;
}

export interface SymbolImageOptions {
  /** Added to every link-time address (modulo 2^64). */
  readonly loadBias?: bigint;
  /**
   * Where the sections of a relocatable object (a kernel module) were loaded, by name; else they are laid out
   * from 0.
   */
  readonly sectionAddresses?: ReadonlyMap<string, bigint>;
  /**
   * Opens a .dwo file or a .dwp package of split DWARF; without it such units have lines but no functions or
   * variables.
   */
  readonly openDwo?: (path: string) => ByteSource | undefined;
  /**
   * Gets the index of a large image from elsewhere; without this, it is built here, in slices. Undefined:
   * there will be none.
   */
  readonly loadIndex?: LoadIndex;
  /** For compressed sections; without them they count as missing and `problems()` says so. */
  readonly decompressors?: Decompressors;
}

export interface SymbolImage {
  readonly path: string;
  /** In lower-case hex. */
  readonly buildId: string | undefined;
  /** Where the note with it is in the running program's memory; undefined when it is not loaded. */
  readonly buildIdAddress: bigint | undefined;
  readonly entry: bigint;
  readonly loadBias: bigint;
  /** `x86-64`, …: what the debug information is for, even in a file of another class. */
  readonly machine: string;
  /**
   * Whether there is line information at all; without it only symbolAt and functionByName (from .symtab)
   * answer.
   */
  readonly hasLines: boolean;
  /** How much debug information there is: the size of .debug_info, 0 without any. */
  readonly debugInfoBytes: number;
  /** Where its code is. */
  readonly codeRanges: readonly AddressRange[];

  readonly sliced: SlicedQuestions;
  /**
   * Whether names are known without reading through the units: from an index of ours, or from one in the
   * file.
   */
  readonly isIndexed: boolean;
  /**
   * Gets the index of names and files of a large image (a small one has it at once), by
   * SymbolImageOptions.loadIndex. Until it is ready, names of other units are not found, and files are found
   * by reading the head of every line table. Resolves to whether it is ready; asking again costs nothing.
   */
  prepareIndex(): Promise<boolean>;

  /** Every source path, sorted, each once. */
  files(): readonly string[];

  lineAt(address: bigint): LineRow | undefined;
  functionAt(address: bigint): FunctionRange | undefined;
  symbolAt(address: bigint): SymbolAt | undefined;
  /** Value and size of a symbol of .symtab, whatever it names. The first of several that have the name. */
  symbolByName(name: string): { readonly address: bigint; readonly sizeBytes: number } | undefined;
  /** Innermost first; one entry when nothing is inlined there, none when no function is known. */
  inlineChainAt(address: bigint): readonly InlineFrame[];

  /**
   * Where a breakpoint on a source line goes. `file` matches every recorded path that ends with it on a path
   * boundary, or that ends where it ends (an editor's absolute path against a recorded relative one). When
   * the line has no code, the nearest following line that has. One address per function or inlined copy;
   * after the prologue where the line is a function's opening.
   */
  addressesOf(file: string, line: number, column?: number): readonly CodeLocation[];
  /**
   * Lines from `fromLine` to `toLine` (both included) that have code, each with the columns of its
   * statements, ascending.
   */
  breakpointLines(
    file: string,
    fromLine: number,
    toLine: number,
  ): readonly { line: number; columns: readonly number[] }[];

  /**
   * Every function with that name. Clones of the compiler (`name.isra.0`, `name.constprop.0`) count, `.cold`
   * parts do not. Inlined copies are found when the index is there.
   */
  functionByName(name: string): readonly FunctionLocation[];

  /**
   * For stepping by line: the contiguous addresses around `address` that belong to the same source line of
   * the same function. Stepping goes on while the program counter is inside.
   */
  statementRange(address: bigint): AddressRange | undefined;
  /**
   * The first address after the prologue of the function that starts at `start`; `start` itself when unknown.
   */
  prologueEnd(start: bigint): bigint;
  /** Whether the frame of the function that contains `address` is not set up yet there. */
  isInPrologue(address: bigint): boolean;

  /**
   * The registers of a frame's caller: by call frame information, else by ORC, else by the frame pointer.
   * Undefined at the outermost frame and where none of these applies.
   */
  unwindFrame(frame: FrameContext): Promise<UnwoundFrame | undefined>;
  /**
   * The same, but undefined where no table knows the frame: for a caller that knows more about its code than
   * the frame pointer does.
   */
  unwindByTables(frame: FrameContext): Promise<UnwoundFrame | undefined>;
  /**
   * Whether the tables say that a frame has no caller, rather than nothing about it: then nothing else need
   * be tried.
   */
  isOutermost(frame: FrameContext): boolean;

  /**
   * Parameters and local variables in scope at a frame, innermost block first. `inlineDepth` counts from the
   * innermost function of inlineChainAt(). Values are read when they are displayed.
   */
  localsAt(frame: FrameContext, inlineDepth?: number): Promise<readonly Variable[]>;
  /**
   * Evaluates an expression in a frame, in the language of its code: literals, variables, `file.c::name`,
   * `a::B<int>::c`, `$rax`, casts, `&` `*` `->` `.` `[]`, arithmetic, comparison, logic, `?:`, `sizeof`. A
   * format suffix after a comma (`x,x`) is split off by the caller: see splitFormat. Throws QueryError.
   * Assignments (`a = 1`) are refused: use compile() and its assignment().
   */
  evaluate(expression: string, frame: FrameContext, inlineDepth?: number): Promise<Value>;
  /**
   * Parses for the frame's code; good for every frame of that function. Throws QueryError with the column of
   * a mistake.
   */
  compile(expression: string, frame: FrameContext, inlineDepth?: number): Promise<CompiledExpression>;
  /** Whether a name belongs to the program at a frame: a variable, a function, an enumerator, a macro. */
  knows(name: string, frame: FrameContext, inlineDepth?: number): Promise<boolean>;
  /** The language whose syntax expressions have at an address. */
  languageAt(address: bigint): Language;
  /** The same for code at an address, where nothing runs yet: a breakpoint's condition. */
  compileAt(expression: string, address: bigint): Promise<CompiledExpression>;
  /**
   * A type by name (`struct node`, `word_t`, `node`) with its members and offsets, printed. Undefined when
   * there is none.
   */
  describeType(name: string): Promise<string | undefined>;

  /**
   * Parameters and locals in scope at an address, with their places as text: for people, without a running
   * program.
   */
  describeLocals(address: bigint): readonly LocalDescription[];
  /** How the frame at an address leads to its caller's, as text; undefined without call frame information. */
  describeFrame(address: bigint): FrameDescription | undefined;
  /** The macro a name is at an address; without an address the first that any unit ends with. */
  macro(name: string, address?: bigint): Macro | undefined;
  /** Names of functions that match, sorted, at most `limit`. */
  functionsMatching(pattern: RegExp, limit?: number): readonly string[];

  /** What was found broken so far, each reported once: `.debug_info unit 0x1234: …`. */
  problems(): readonly string[];
}
