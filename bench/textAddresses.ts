/** Addresses all over a kernel's code, the same ones each time. */
import { seededRandom } from '../test/support/bytes.ts';
import { openFileSource } from '../vmm-core/client/fileSource.ts';
import { findSection, parseElf } from '../vmm-core/elf/elfFile.ts';

const COUNT = 3000;

export function randomTextAddresses(file: string): bigint[] {
  const source = openFileSource(file);
  try {
    const text = findSection(parseElf(source), '.text');
    if (text === undefined) throw new Error(`${file} has no .text`);
    const random = seededRandom(11);
    return Array.from({ length: COUNT }, () => text.address + BigInt(Math.floor(random() * text.sizeBytes)));
  } finally {
    source.close();
  }
}
