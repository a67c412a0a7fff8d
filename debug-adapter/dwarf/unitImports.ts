/**
 * Units that others import (§3.2.5). dwz moves what several units have in common into partial units, in the
 * same file or in the supplementary one; link-time optimisation makes one unit out of many.
 */
import { DW_AT, DW_TAG } from './constants.ts';
import type { Unit, UnitFile } from './unit.ts';
import { isTypeUnit } from './unitHeader.ts';

export class UnitImports {
  readonly #file: UnitFile;
  readonly #known = new Map<Unit, readonly Unit[]>();
  /** By imported unit, the units that import it. */
  #importers: ReadonlyMap<Unit, readonly Unit[]> | undefined;

  constructor(file: UnitFile) {
    this.#file = file;
  }

  /** What a unit imports, directly or through others. */
  of(unit: Unit): readonly Unit[] {
    let found = this.#known.get(unit);
    if (found === undefined) {
      const all = new Set<Unit>();
      const waiting = [unit];
      for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
        for (const imported of directImports(at)) {
          if (all.has(imported) || imported === unit) continue;
          all.add(imported);
          waiting.push(imported);
        }
      }
      found = [...all];
      this.#known.set(unit, found);
    }
    return found;
  }

  /** Units of this file that import a unit of it or of its supplementary file. */
  importersOf(unit: Unit): readonly Unit[] {
    this.#importers ??= this.#findImporters();
    return this.#importers.get(unit) ?? [];
  }

  /**
   * What partial units do not say about themselves, their importers do: a compile unit, if one imports it.
   */
  compileUnitOf(partial: Unit): Unit | undefined {
    return this.importersOf(partial).find((unit) => unit.rootDie().tag !== DW_TAG.partial_unit);
  }

  #findImporters(): ReadonlyMap<Unit, readonly Unit[]> {
    const importers = new Map<Unit, Unit[]>();
    for (const header of this.#file.unitHeaders()) {
      if (isTypeUnit(header)) continue;
      const unit = this.#file.unitOf(header);
      for (const imported of this.of(unit)) {
        const list = importers.get(imported);
        if (list === undefined) importers.set(imported, [unit]);
        else list.push(unit);
      }
    }
    return importers;
  }
}

/** Imports come first in a unit: one without any costs reading its first entry. */
function directImports(unit: Unit): Unit[] {
  const imported: Unit[] = [];
  try {
    const { endOffset } = unit.header;
    const die = unit.rootDie();
    let at = die.hasChildren ? die.nextOffset : endOffset;
    for (; at < endOffset; at = die.nextOffset) {
      if (!die.moveTo(at) || die.tag !== DW_TAG.imported_unit || die.hasChildren) break;
      const root = die.ref(DW_AT.import);
      if (root !== undefined) imported.push(root.unit);
    }
  } catch (error) {
    unit.file.report(error);
  }
  return imported;
}
