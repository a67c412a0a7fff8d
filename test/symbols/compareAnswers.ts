/** Compares our answers with gdb's, group by group. They may differ by RULES only. */
import { basename, normalize } from 'node:path/posix';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { Agreement } from './agreement.ts';
import { run } from './compile.ts';
import { gdbPlaces } from './gdbPlaces.ts';
import type {
  AddressAnswer,
  BreakpointAnswer,
  FunctionAnswer,
  GroupAnswer,
  ScopeAnswer,
} from './gdbQuestions.ts';
import { compareType } from './compareTypes.ts';

export class Groups {
  readonly addresses = new Agreement('addresses');
  readonly scopes = new Agreement('functions with their variables');
  readonly types = new Agreement('types');
  readonly breakpoints = new Agreement('breakpoints');
  readonly functions = new Agreement('breakpoints on functions');

  get all(): readonly Agreement[] {
    return [this.addresses, this.scopes, this.types, this.breakpoints, this.functions];
  }
}

/** Where we answer otherwise than gdb 13, on purpose, and how we know that we are not wrong. */
const RULES = {
  /**
   * gdb leaves out rows that repeat the line of the row before once a discriminator was seen, and shows the statement before them.
   * binutils reads all rows, and says what we say.
   */
  repeatedRow: (program: string, address: string, ours: string): boolean =>
    binutilsPlace(program, address) === ours,
  /** After a function that does not return, the line table claims the bytes up to the next. gdb stops there, once a file; we do not. */
  padding: (image: SymbolImage, extra: readonly bigint[], missing: readonly bigint[]): boolean =>
    extra.length === 0 && missing.every((it) => image.inlineChainAt(it).length === 0),
};

export async function compareAnswers(
  image: SymbolImage,
  answers: readonly GroupAnswer[],
  groups: Groups,
): Promise<void> {
  for (const answer of answers) {
    switch (answer.kind) {
      case 'address':
        compareAddress(image, answer, groups.addresses);
        break;
      case 'scope':
        compareScope(image, answer, groups.scopes);
        break;
      case 'type':
        await compareType(image, answer, groups.types);
        break;
      case 'breakpoint':
        compareBreakpoint(image, answer, groups.breakpoints);
        break;
      case 'function':
        compareFunction(image, answer, groups.functions);
        break;
    }
  }
}

function compareAddress(image: SymbolImage, answer: AddressAnswer, group: Agreement): void {
  const address = BigInt(answer.address);
  const row = image.lineAt(address);
  const chain = image.inlineChainAt(address);
  if (answer.functions.length === 0 && answer.line === 0 && row === undefined) return; // nothing is known of it
  const ourPlace = `${row?.file ?? '-'}:${row?.line ?? 0}`;
  const ours = `${chain.map((it) => it.function).join(' < ')} ${ourPlace}`;
  // Of assembler gdb knows no function, only the symbol that it is in: that is a question of its own.
  const functions = answer.functions.length > 0 ? answer.functions : chain.map((it) => it.function);
  const theirs = `${functions.join(' < ')} ${answer.file === null ? '-' : normalize(answer.file)}:${answer.line}`;
  if (ours === theirs) return group.agree();
  const isExplained = RULES.repeatedRow(image.path, answer.address, ourPlace);
  group.differ(
    isExplained ? 'repeatedRow' : undefined,
    () => `${basename(image.path)} ${answer.address}: ${ours}, gdb ${theirs}`,
  );
}

function binutilsPlace(program: string, address: string): string {
  const place = run('addr2line', ['-e', program, address]).trim();
  return place.replace(/ \(discriminator \d+\)$/, '');
}

function compareScope(image: SymbolImage, answer: ScopeAnswer, group: Agreement): void {
  const address = BigInt(answer.address);
  const places = gdbPlaces(answer.places, address);
  // gdb gives up on some functions as a whole ("No function found for block for symbol"): names and types are left to compare.
  const gaveUp = places.length === 0;
  const withPlace = (place: string | undefined): string => (gaveUp ? '' : `, ${place ?? '?'}`);
  const ours = image
    .describeLocals(address)
    .filter((it) => it.inlineDepth === 0)
    .map((it) => {
      const kind = it.isParameter ? 'argument' : 'variable';
      return `${kind} ${it.name}: ${squeezed(it.type)}${withPlace(ourPlace(it.location))}`;
    });
  const theirs = answer.symbols.flatMap(({ kind, name, type }, index) => {
    const place = places[index];
    if (kind === 'other') return [];
    return [`${kind} ${name}: ${squeezed(type)}${withPlace(place?.name === name ? place.place : undefined)}`];
  });
  const [left, right] = [ours.sort().join('\n'), theirs.sort().join('\n')];
  if (left === right) group.agree();
  else
    group.differ(undefined, () => {
      const missing = theirs.filter((it) => !ours.includes(it)).join('; ');
      const extra = ours.filter((it) => !theirs.includes(it)).join('; ');
      return `${basename(image.path)} ${answer.function} at ${answer.address}: ours ${extra}, gdb ${missing}`;
    });
}

function compareBreakpoint(image: SymbolImage, answer: BreakpointAnswer, group: Agreement): void {
  const ours = image.addressesOf(answer.file, answer.line).map(({ address }) => address);
  compareAddresses(image, ours, answer.addresses.map(BigInt), `${answer.file}:${answer.line}`, group);
}

function compareFunction(image: SymbolImage, answer: FunctionAnswer, group: Agreement): void {
  const ours = image.functionByName(answer.name).map(({ address }) => address);
  compareAddresses(image, ours, answer.addresses.map(BigInt), answer.name, group);
}

function compareAddresses(
  image: SymbolImage,
  ours: readonly bigint[],
  theirs: readonly bigint[],
  asked: string,
  group: Agreement,
): void {
  const extra = ours.filter((it) => !theirs.includes(it));
  const missing = theirs.filter((it) => !ours.includes(it));
  if (extra.length === 0 && missing.length === 0) return group.agree();
  const isExplained = RULES.padding(image, extra, missing);
  group.differ(isExplained ? 'padding' : undefined, () => {
    const text = `${basename(image.path)} ${asked}: ${ours.length} of ours, gdb ${theirs.length}`;
    return `${text}: extra ${addressList(extra)}, missing ${addressList(missing)}`;
  });
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
    .replace(/DW_OP_lit(\d+), DW_OP_stack_value, DW_OP_piece/g, 'constant $1, DW_OP_piece');
}

/** Spacing within a type is taste. */
export function squeezed(type: string): string {
  return type.replaceAll(' ', '');
}
