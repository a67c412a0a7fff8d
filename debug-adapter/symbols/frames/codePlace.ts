/**
 * What the code at an address is, independent of any frame: its unit, the functions and blocks around it, the
 * variables they declare. Kept, because conditions are evaluated at the same address again and again.
 */
import { DW_LANG } from '../../dwarf/constants.ts';
import type { Die, Unit } from '../../dwarf/unit.ts';
import { LruCache } from '../base/lruCache.ts';
import { hasNamespaces } from '../types/qualifiedNames.ts';
import { variablesOf } from '../units/dieTree.ts';
import type { FunctionNode, UnitFunctions } from '../units/unitFunctions.ts';
import type { Language } from '../values/literals.ts';
import { plainNameOf } from './callSites.ts';

export interface DeclaredVariable {
  readonly name: string;
  readonly die: Die;
  /** 0 for the function's own, more for those of blocks inside. */
  readonly depth: number;
}

export interface CodePlace {
  readonly unit: Unit | undefined;
  readonly language: Language;
  /** The function of the frame, then the blocks inside it around the address. */
  readonly nodes: readonly FunctionNode[];
  /** The real function all of it is in: its frame base counts. */
  readonly functionNode: FunctionNode | undefined;
  readonly functionName: string | undefined;
  /** Innermost block first. */
  readonly variables: readonly DeclaredVariable[];
}

export interface CodePlaceImage {
  unitAt(address: number): Unit | undefined;
  functionsOf(unit: Unit): UnitFunctions;
}

const MAX_PLACES = 64;

const known = new WeakMap<CodePlaceImage, LruCache<string, CodePlace>>();

export function codePlace(
  image: CodePlaceImage,
  address: number | undefined,
  inlineDepth: number,
): CodePlace {
  let places = known.get(image);
  if (places === undefined) known.set(image, (places = new LruCache(MAX_PLACES)));
  const key = `${address ?? ''}:${inlineDepth}`;
  let place = places.get(key);
  if (place === undefined) {
    place = findPlace(image, address, inlineDepth);
    places.set(key, place, 1);
  }
  return place;
}

function findPlace(image: CodePlaceImage, address: number | undefined, inlineDepth: number): CodePlace {
  const unit = address === undefined ? undefined : image.unitAt(address);
  const all = unit === undefined || address === undefined ? [] : image.functionsOf(unit).nodesAt(address);
  const nodes = nodesOfFrame(all, inlineDepth);
  const [node] = nodes;
  return {
    unit,
    language: languageOf(unit),
    nodes,
    functionNode: all[0],
    functionName: node && image.functionsOf(node.unit).nameOf(node),
    variables: declaredIn(nodes),
  };
}

function languageOf(unit: Unit | undefined): Language {
  const language = unit?.root.language;
  if (language === DW_LANG.Rust) return 'rust';
  return hasNamespaces(language) ? 'c++' : 'c';
}

function declaredIn(nodes: readonly FunctionNode[]): DeclaredVariable[] {
  const found: DeclaredVariable[] = [];
  for (let depth = nodes.length - 1; depth >= 0; depth--) {
    const { unit, dieOffset } = nodes[depth] as FunctionNode;
    for (const die of variablesOf(unit.die(dieOffset))) {
      const name = plainNameOf(die);
      if (name !== undefined) found.push({ name, die, depth });
    }
  }
  return found;
}

/** The function at `inlineDepth` (0 the innermost) and the blocks in it. `all` is outermost first. */
function nodesOfFrame(all: readonly FunctionNode[], inlineDepth: number): FunctionNode[] {
  const functions = all.flatMap(({ kind }, index) => (kind === 'block' ? [] : [index]));
  const from = functions.at(-1 - inlineDepth);
  if (from === undefined) return [];
  const to = all.findIndex(({ kind }, index) => index > from && kind !== 'block');
  return all.slice(from, to < 0 ? undefined : to);
}
