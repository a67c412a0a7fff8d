/** Commands that show a difference to its reader: ours, and the one of the tool we are compared with. */
import { placed } from '../../debug-adapter/symbols/files/imageSections.ts';
import { openFileSource } from '../../vmm-core/client/fileSource.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';

/** Where gdb put the sections of a relocatable object, by name. */
export type SectionPlaces = ReadonlyMap<string, bigint>;

export interface Showing {
  /**
   * `address` is gdb's, for commands of ours where the same place has another: of a module, whose sections
   * each of us lays out.
   */
  ours(command: (address: string) => string, address?: bigint): string;
  gdb(...commands: readonly string[]): string;
}

export function showing(path: string, sections: SectionPlaces | undefined): Showing {
  return {
    ours(command, address = 0n) {
      const at = sections === undefined ? address : ownAddress(path, sections, address);
      return `vmm sym ${path} '${command(`0x${at.toString(16)}`)}'`;
    },
    gdb: (...commands) => `gdb -nx -batch ${commands.map((it) => `-ex '${it}'`).join(' ')} ${path}`,
  };
}

/** The section around an address, and the offset in it. */
export function sectionAt(
  sections: SectionPlaces,
  address: bigint,
): { name: string; offset: bigint } | undefined {
  let found: { name: string; start: bigint } | undefined;
  for (const [name, start] of sections) {
    if (start <= address && (found === undefined || start > found.start)) found = { name, start };
  }
  return found && { name: found.name, offset: address - found.start };
}

/** The address that our command has for it. */
function ownAddress(path: string, sections: SectionPlaces, address: bigint): bigint {
  const at = sectionAt(sections, address);
  const source = openFileSource(path);
  try {
    const own = placed(parseElf(source), undefined).sections.find(({ name }) => name === at?.name);
    return own === undefined || at === undefined ? address : own.address + at.offset;
  } finally {
    source.close();
  }
}
