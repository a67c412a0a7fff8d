/** Addresses of a test guest's labels, from its ELF. */
import { readFileSync } from 'node:fs';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import { bestSymbolTable } from '../../vmm-core/elf/elfSymbols.ts';

/** `symbol('add_one')` is '0x100042'. Throws when the guest has no such label. */
export function guestSymbols(elfPath: string): (name: string, offset?: number) => string {
  const table = bestSymbolTable(parseElf(bytesSource(elfPath, readFileSync(elfPath))));
  const addresses = new Map<string, bigint>();
  for (let i = 0; i < (table?.count ?? 0); i++) {
    if (table !== undefined) addresses.set(table.name(i), table.value(i));
  }
  return (name, offset = 0) => {
    const address = addresses.get(name);
    if (address === undefined) throw new Error(`${elfPath} has no symbol ${name}`);
    return `0x${(address + BigInt(offset)).toString(16)}`;
  };
}
