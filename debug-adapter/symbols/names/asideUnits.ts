/**
 * Units whose names no index of the image has, because their entries are not in its .debug_info: type units
 * of DWARF 4, and what split DWARF keeps in other files. Programs have few of them, or (split) many small
 * ones, which are opened when a name is nowhere else.
 */
import { DW_UT } from '../../dwarf/constants.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import type { Unit } from '../../dwarf/unit.ts';
import type { UnitHeader } from '../../dwarf/unitHeader.ts';

export class AsideUnits {
  readonly #file: DwarfFile;
  readonly #fullUnit: (unit: Unit) => Unit;
  readonly #packagedTypes: () => Iterable<Unit>;
  #headers: readonly UnitHeader[] | undefined;

  /** `fullUnit` finds the unit behind a skeleton: see SplitUnits. */
  constructor(file: DwarfFile, fullUnit: (unit: Unit) => Unit, packagedTypes: () => Iterable<Unit>) {
    this.#file = file;
    this.#fullUnit = fullUnit;
    this.#packagedTypes = packagedTypes;
  }

  *[Symbol.iterator](): Generator<Unit> {
    for (const header of (this.#headers ??= this.#findHeaders())) {
      const unit = this.#file.unitOf(header);
      const full = this.#fullUnit(unit);
      yield full;
      if (full === unit) continue;
      for (const other of full.file.unitHeaders())
        if (other.typeSignature !== undefined) yield full.file.unitOf(other);
    }
    if (this.#headers.length > 0) yield* this.#packagedTypes();
  }

  #findHeaders(): UnitHeader[] {
    return this.#file.unitHeaders().filter((header) => {
      if (header.section.name === '.debug_types') return true;
      if (header.version >= 5) return header.unitType === DW_UT.skeleton;
      return this.#namesAnotherFile(header);
    });
  }

  /** Before version 5 a skeleton is a unit like others. */
  #namesAnotherFile(header: UnitHeader): boolean {
    try {
      return this.#file.unitOf(header).root.dwoName !== undefined;
    } catch (error) {
      this.#file.report(error);
      return false;
    }
  }
}
