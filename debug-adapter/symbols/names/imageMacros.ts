/** Macros of an image's units by name, as defined at a source line. Compilers leave them out without -g3. */
import { type MacroDefinition, findMacro, hasMacros, macroLineOffset } from '../../dwarf/macro.ts';
import type { Unit } from '../../dwarf/unit.ts';
import type { UnitCache } from '../units/unitCache.ts';
import { UnitLines } from '../units/unitLines.ts';

/** `#define name parameters body`. */
export interface Macro {
  readonly name: string;
  /** `(a, b)`; missing for a macro that is used without parentheses. */
  readonly parameters?: string;
  readonly body: string;
  /** Where it is defined; missing for those of the compiler and its command line. */
  readonly file?: string;
  readonly line?: number;
}

/** A source line of a unit. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
}

export class ImageMacros {
  readonly #cache: UnitCache;

  constructor(cache: UnitCache) {
    this.#cache = cache;
  }

  /** What a name means at a line of a unit; at the unit's end without one. Throws DwarfError. */
  inUnit(name: string, anyUnit: Unit, at: SourceLine | undefined): Macro | undefined {
    const unit = this.#cache.fullUnit(anyUnit);
    if (!hasMacros(unit)) return undefined;
    const lines = macroLines(unit);
    const place = at && {
      line: at.line,
      isFile: (file: number): boolean => lines?.path(file) === at.file,
    };
    const found = findMacro(unit, name, place);
    return found && described(found, lines);
  }

  /** The first definition in any unit. Throws DwarfError. */
  anywhere(name: string): Macro | undefined {
    const { file } = this.#cache;
    for (const header of file.unitHeaders()) {
      const found = this.inUnit(name, file.unitOf(header), undefined);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** The files that numbers in macros refer to: those of a split unit are in its own file. */
function macroLines(unit: Unit): UnitLines | undefined {
  const offset = macroLineOffset(unit);
  if (offset === undefined || unit.file.section('.debug_line') === undefined) return undefined;
  return new UnitLines(unit, offset, () => true);
}

function described(
  { name, parameters, body, line, file }: MacroDefinition,
  lines: UnitLines | undefined,
): Macro {
  const path = file === undefined ? undefined : lines?.path(file);
  return {
    name,
    body,
    ...(parameters !== undefined && { parameters }),
    ...(path !== undefined && { file: path, line }),
  };
}
