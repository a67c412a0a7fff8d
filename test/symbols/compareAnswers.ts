/** Compares our answers with gdb's, group by group. They may differ by RULES only. */
import { basename, normalize } from 'node:path/posix';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { Agreement } from './agreement.ts';
import { run } from './compile.ts';
import { canonicalName, withoutParameters } from './gdbNames.ts';
import { gdbPlaces } from './gdbPlaces.ts';
import type {
  AddressAnswer,
  BreakpointAnswer,
  FunctionAnswer,
  GroupAnswer,
  ScopeAnswer,
} from './gdbQuestions.ts';
import { compareType } from './compareTypes.ts';
import { type SectionPlaces, type Showing, sectionAt, showing } from './showing.ts';

export class Groups {
  readonly addresses = new Agreement('addresses');
  readonly scopes = new Agreement('functions with their variables');
  readonly types = new Agreement('types');
  readonly breakpoints = new Agreement('breakpoints');
  readonly functions: Agreement;

  /**
   * A few functions are not a group of their own where a share is required: one of six is more than half a
   * percent.
   */
  constructor({ countsFunctions = true } = {}) {
    this.functions = countsFunctions ? new Agreement('breakpoints on functions') : this.breakpoints;
  }

  get all(): readonly Agreement[] {
    return [this.addresses, this.scopes, this.types, this.breakpoints, this.functions];
  }
}

/** Where we deliberately answer differently from gdb 13, and how we know that we are not wrong. */
const RULES = {
  /**
   * gdb leaves out rows that repeat the previous row's line once a discriminator was seen, and shows the
   * statement before them. binutils reads all rows, and agrees with us.
   */
  repeatedRow: (
    program: string,
    address: bigint,
    sections: SectionPlaces | undefined,
    ours: string,
  ): boolean => binutilsPlace(program, address, sections) === ours,
  /**
   * After a function that does not return, the line table claims the bytes up to the next. gdb stops there,
   * once per file; we do not.
   */
  padding: (image: SymbolImage, extra: readonly bigint[], missing: readonly bigint[]): boolean =>
    extra.length === 0 && missing.every((it) => image.inlineChainAt(it).length === 0),
  /** gdb looks for the end of an unmarked prologue, and leaves the function doing so. */
  leavesFunction: (image: SymbolImage, extra: readonly bigint[], missing: readonly bigint[]): boolean =>
    extra.length === missing.length &&
    missing.every((it, index) => {
      const [ours, theirs] = [image.functionAt(extra[index] ?? 0n), image.functionAt(it)];
      return ours !== undefined && ours.start !== theirs?.start;
    }),
};

export interface CompareOptions {
  /** We name types differently from gdb: in Rust as their programmer does. */
  readonly hasOtherTypes?: boolean;
  /**
   * gdb was asked about another program with the same code: entries that locations refer to are elsewhere in
   * it.
   */
  readonly isTwin?: boolean;
  /** Of a relocatable object: where gdb has its sections. */
  readonly sections?: SectionPlaces;
}

/** What a comparison needs to know about the file. */
interface Compared {
  readonly image: SymbolImage;
  readonly options: CompareOptions;
  readonly show: Showing;
}

export async function compareAnswers(
  image: SymbolImage,
  answers: readonly GroupAnswer[],
  groups: Groups,
  options: CompareOptions = {},
): Promise<void> {
  const compared = { image, options, show: showing(image.path, options.sections) };
  for (const answer of answers) {
    switch (answer.kind) {
      case 'address':
        compareAddress(compared, answer, groups.addresses);
        break;
      case 'scope':
        compareScope(compared, answer, groups.scopes);
        break;
      case 'type':
        await compareType(image, answer, groups.types, compared.show);
        break;
      case 'breakpoint':
        compareBreakpoint(compared, answer, groups.breakpoints);
        break;
      case 'function':
        compareFunction(compared, answer, groups.functions);
        break;
    }
  }
}

function compareAddress({ image, options, show }: Compared, answer: AddressAnswer, group: Agreement): void {
  const address = BigInt(answer.address);
  const row = image.lineAt(address);
  const chain = image.inlineChainAt(address);
  // nothing is known about it
  if (answer.functions.length === 0 && answer.line === 0 && row === undefined) return;
  const ourPlace = `${row?.file ?? '-'}:${row?.line ?? 0}`;
  const theirPlace = `${answer.file === null ? '-' : normalize(answer.file)}:${answer.line}`;
  const ours = chain.map((it) => withoutParameters(it.function)).join(' < ');
  // For assembler gdb knows no function, only the symbol that it is in: that is a separate question.
  const functions = answer.functions.map(withoutParameters);
  // A lambda's function is nested in the one around it; it is not inlined there.
  const isNested = functions[0]?.includes('{lambda}') === true && chain[0]?.inlined === false;
  const theirs = functions.length === 0 ? ours : functions.slice(0, isNested ? 1 : undefined).join(' < ');
  if (ours === theirs && ourPlace === theirPlace) return group.agree();
  const isExplained = ours === theirs && RULES.repeatedRow(image.path, address, options.sections, ourPlace);
  group.differ(
    isExplained ? 'repeatedRow' : undefined,
    () => `${basename(image.path)} ${answer.address}: ${ours} ${ourPlace}, gdb ${theirs} ${theirPlace}`,
    [
      show.ours((at) => at, address),
      show.gdb(`info symbol ${answer.address}`, `info line *${answer.address}`),
    ],
  );
}

/** Of a relocatable object binutils has every section at 0. */
function binutilsPlace(program: string, address: bigint, sections: SectionPlaces | undefined): string {
  const at = sections && sectionAt(sections, address);
  const where = at === undefined ? [] : ['-j', at.name];
  const place = run('addr2line', [
    '-e',
    program,
    ...where,
    `0x${(at?.offset ?? address).toString(16)}`,
  ]).trim();
  return place.replace(/ \(discriminator \d+\)$/, '');
}

function compareScope({ image, options, show }: Compared, answer: ScopeAnswer, group: Agreement): void {
  const { hasOtherTypes = false, isTwin = false } = options;
  const placeText = (place: string): string => (isTwin ? withoutEntries(place) : place);
  const typeText = (type: string): string => (hasOtherTypes ? '' : squeezed(type));
  const address = BigInt(answer.address);
  const places = gdbPlaces(answer.places, address);
  // gdb gives up on some functions as a whole: "No function found for block for symbol"
  if (places.length === 0) return;
  const ours = image
    .describeLocals(address)
    .filter((it) => it.inlineDepth === 0)
    .map((it) => {
      const kind = it.isParameter ? 'argument' : 'variable';
      return `${kind} ${it.name}: ${typeText(it.type)}, ${placeText(ourPlace(it.location))}`;
    });
  const theirs = answer.symbols.flatMap(({ kind, name, type }, index) => {
    const place = places[index];
    if (kind === 'other') return [];
    const text = place?.name === name ? placeText(place.place) : '?';
    return [`${kind} ${name}: ${typeText(type)}, ${text}`];
  });
  const left = withoutUnplaced(ours, theirs);
  const right = withoutUnplaced(theirs, ours);
  if (left.join('\n') === right.join('\n')) group.agree();
  else
    group.differ(undefined, () => {
      const missing = right.filter((it) => !left.includes(it)).join('; ');
      const extra = left.filter((it) => !right.includes(it)).join('; ');
      return `${basename(image.path)} ${answer.function} at ${answer.address}: ours ${extra}, gdb ${missing}`;
    }, [show.ours((at) => `locals ${at}`, address), show.gdb(`info scope *${answer.address}`)]);
}

/**
 * Sorted, and without the variables that have no place here and that only one of us lists: those of an
 * inlined function's blocks that have no code here. Compilers do not say for every block what it is a copy
 * of; gdb then lists what is in the original once more.
 */
function withoutUnplaced(variables: readonly string[], others: readonly string[]): string[] {
  const isUnplaced = (variable: string): boolean => variable.endsWith(', optimized out');
  const count = (list: readonly string[], variable: string): number =>
    list.filter((it) => it === variable).length;
  const sorted = [...variables].sort();
  return sorted.filter((variable, index) => {
    const seen = sorted.slice(0, index).filter((it) => it === variable).length;
    return !isUnplaced(variable) || seen < count(others, variable);
  });
}

function compareBreakpoint(compared: Compared, answer: BreakpointAnswer, group: Agreement): void {
  const ours = compared.image.addressesOf(answer.file, answer.line).map(({ address }) => address);
  compareAddresses(compared, ours, answer.addresses.map(BigInt), `${answer.file}:${answer.line}`, group);
}

function compareFunction(compared: Compared, answer: FunctionAnswer, group: Agreement): void {
  const ours = compared.image.functionByName(answer.name).map(({ address }) => address);
  compareAddresses(compared, ours, answer.addresses.map(BigInt), answer.name, group);
}

function compareAddresses(
  { image, show }: Compared,
  ours: readonly bigint[],
  theirs: readonly bigint[],
  asked: string,
  group: Agreement,
): void {
  const extra = ours.filter((it) => !theirs.includes(it));
  const missing = theirs.filter((it) => !ours.includes(it));
  if (extra.length === 0 && missing.length === 0) return group.agree();
  const rule = (['padding', 'leavesFunction'] as const).find((it) => RULES[it](image, extra, missing));
  group.differ(rule, () => {
    const text = `${basename(image.path)} ${asked}: ${ours.length} of ours, gdb ${theirs.length}`;
    return `${text}: extra ${addressList(extra)}, missing ${addressList(missing)}`;
  }, [show.ours(() => asked), show.gdb(`break ${asked}`, 'info breakpoints')]);
}

function addressList(addresses: readonly bigint[]): string {
  return [...new Set(addresses)]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((address) => `0x${address.toString(16)}`)
    .join(' ');
}

/** gdb gives implicit values by their lengths only, and has a word for literals in pieces. */
function ourPlace(place: string): string {
  return place
    .replace(/DW_OP_implicit_value ((?:[0-9a-f]{2} ?)+)/g, (_, bytes: string) => {
      return `DW_OP_implicit_value ${bytes.trim().split(' ').length}`;
    })
    .replace(/DW_OP_(?:lit|constu )(\d+), DW_OP_stack_value, DW_OP_piece/g, 'constant $1, DW_OP_piece');
}

/**
 * Without the offsets of entries of .debug_info, and without conversions between types, which clang leaves
 * out of split units.
 */
function withoutEntries(place: string): string {
  return place
    .replace(/, DW_OP_(?:GNU_)?convert (?:0x)?[0-9a-f]+/g, '')
    .replace(
      /(DW_OP_(?:GNU_)?(?:reinterpret|\w+_type|\w+_ref|\w+_pointer|\w+_value)) (?:0x)?[0-9a-f]+/g,
      '$1',
    );
}

/** Spacing within a type is taste. */
export function squeezed(type: string): string {
  return canonicalName(type).replaceAll(' ', '');
}
