/**
 * How many addresses a second the symbol engine explains once it has seen them. A program of its own, bundled
 * as the product is: `addressLookups.js VMLINUX` prints one number.
 */
import { openFileSource } from '../vmm-core/client/fileSource.ts';
import { randomTextAddresses } from './textAddresses.ts';
import { openSymbolImage } from '../debug-adapter/symbols/openSymbolImage.ts';

const ROUNDS = 40;

const [, , file = ''] = process.argv;
const image = openSymbolImage(openFileSource(file));
const addresses = randomTextAddresses(file);
let frames = 0;
const explainAll = (): void => {
  for (const address of addresses) frames += image.inlineChainAt(address).length;
};
explainAll();
const startedMs = performance.now();
for (let round = 0; round < ROUNDS; round++) explainAll();
const seconds = (performance.now() - startedMs) / 1000;
if (frames < addresses.length) throw new Error('most addresses were not explained');
process.stdout.write(`${(ROUNDS * addresses.length) / seconds}\n`);
