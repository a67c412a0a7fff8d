/**
 * Builds the SymbolIndex of an image by one pass over its units: 2 seconds of a CPU for a distribution's
 * kernel.
 */
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { isTypeUnit } from '../../dwarf/unitHeader.ts';
import { FileCollector } from './fileCollector.ts';
import { NameCollector } from './nameCollector.ts';
import type { SymbolIndexData } from './symbolIndex.ts';

/** Yields the fraction done after each unit. Broken units are reported to the file and left out. */
export function* buildIndex(file: DwarfFile): Generator<number, SymbolIndexData, undefined> {
  const names = new NameCollector(file);
  const files = new FileCollector();
  const sizeBytes = file.section('.debug_info')?.sizeBytes ?? 1;
  for (const header of file.unitHeaders()) {
    if (header.section.name !== '.debug_info') continue;
    const unit = file.unitOf(header);
    for (const collector of isTypeUnit(header) ? [names] : [names, files]) {
      try {
        collector.addUnit(unit);
      } catch (error) {
        file.report(error);
      }
    }
    yield header.endOffset / sizeBytes;
  }
  return { ...names.finish(), ...files.finish() };
}
