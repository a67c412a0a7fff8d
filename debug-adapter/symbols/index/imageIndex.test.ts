import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LARGE_TEXT, largeImage } from '../../../test/support/largeImage.ts';
import { bytesSource } from '../../../vmm-core/elf/byteSource.ts';
import { parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { finish } from '../base/steps.ts';
import { elfSectionLoader } from '../files/imageSections.ts';
import { NO_FRAME } from '../imageQueries.ts';
import { openSymbolImage } from '../openSymbolImage.ts';
import type { SymbolImage } from '../symbolImage.ts';
import { buildIndex } from './buildIndex.ts';
import type { ImageIdentity, LoadIndex } from './imageIndex.ts';
import type { SymbolIndexData } from './symbolIndex.ts';

const LARGE = largeImage({ buildId: 'abcd' });
const WITH_TABLE = largeImage({ hasNameTable: true });

function indexOf(bytes: Uint8Array): SymbolIndexData {
  const elf = parseElf(bytesSource('vmlinux', bytes));
  return finish(buildIndex(new DwarfFile(elfSectionLoader(elf, {}, assert.fail), { littleEndian: true })));
}

function open(bytes: Uint8Array, loadIndex?: LoadIndex): SymbolImage {
  return openSymbolImage(bytesSource('vmlinux', bytes), loadIndex === undefined ? {} : { loadIndex });
}

async function valueOf(image: SymbolImage, expression: string): Promise<string> {
  return (await image.evaluate(expression, NO_FRAME)).display();
}

/** Answers what the test sets and records what it was asked. */
function loader(kept: SymbolIndexData | undefined, built: () => Promise<SymbolIndexData | undefined>) {
  const asked: { mayBuild: boolean; image: ImageIdentity }[] = [];
  const loadIndex: LoadIndex = (image, mayBuild) => {
    asked.push({ mayBuild, image });
    return mayBuild ? built() : Promise.resolve(kept);
  };
  return { asked, loadIndex };
}

const never = (): Promise<undefined> => assert.fail('an index was built');

test('names of a large image wait for its index, which is asked for once, by what the file is', async () => {
  const { asked, loadIndex } = loader(undefined, async () => indexOf(LARGE));
  const image = open(LARGE, loadIndex);
  assert.equal(image.isIndexed, false);
  const [value, type] = await Promise.all([valueOf(image, 'FAR_RED + 1'), image.describeType('far_away')]);
  assert.equal(value, '8');
  assert.match(type ?? '', /int depth;/);
  assert.equal(await image.prepareIndex(), true);
  assert.equal(image.isIndexed, true);
  assert.deepEqual(
    asked.map((it) => it.mayBuild),
    [false, true],
  );
  assert.equal(asked[0]?.image.buildId, 'abcd');
  assert.match(asked[0]?.image.sections ?? '', /\.debug_info:\d+ /);
});

test('an index that was kept serves lines and names, and nothing is built', async () => {
  const { asked, loadIndex } = loader(indexOf(LARGE), never);
  const image = open(LARGE, loadIndex);
  const [location] = await image.sliced.addressesOf('far.c', 11);
  assert.equal(location?.address, BigInt(LARGE_TEXT + 4));
  assert.equal(await valueOf(image, 'FAR_RED'), 'FAR_RED');
  assert.deepEqual(image.files(), ['/src/far.c']);
  assert.equal(asked.length, 1);
});

test('a line of source does not wait for an index that would have to be built', async () => {
  const { loadIndex } = loader(undefined, never);
  const image = open(LARGE, loadIndex);
  assert.deepEqual(await image.sliced.filesNamed('far.c'), ['/src/far.c']);
  assert.deepEqual(await image.sliced.filesNamed('near.c'), []);
  const lines = await image.sliced.breakpointLines('/src/far.c', 11, 20);
  assert.deepEqual(
    lines.map(({ line }) => line),
    [11, 12],
  );
  assert.equal((await image.sliced.addressesOf('far.c', 12))[0]?.function, 'far_main');
  assert.equal(image.functionAt(BigInt(LARGE_TEXT))?.name, 'far_main');
});

test('when the thread fails the index is built here', async () => {
  const { loadIndex } = loader(undefined, () => Promise.reject(new Error('no threads')));
  assert.equal(await valueOf(open(LARGE, loadIndex), 'FAR_RED + 0'), '7');
  assert.equal(await valueOf(open(LARGE), 'FAR_RED + 0'), '7', 'without a loader');
});

test('a cancelled index is not asked for again, and names that need it are unknown', async () => {
  const { asked, loadIndex } = loader(undefined, async () => undefined);
  const image = open(LARGE, loadIndex);
  assert.equal(await image.prepareIndex(), false);
  await assert.rejects(valueOf(image, 'FAR_RED'), /FAR_RED/);
  assert.equal(await image.describeType('struct far_away'), undefined);
  assert.equal(asked.length, 2);
});

test('names that the file lists itself need no index; enumerators, which compilers do not list, do', async () => {
  const unbuilt = open(WITH_TABLE, loader(undefined, never).loadIndex);
  assert.equal(unbuilt.isIndexed, true);
  assert.match((await unbuilt.describeType('struct far_away')) ?? '', /int depth;/);
  assert.equal(await valueOf(unbuilt, 'sizeof(struct far_away)'), '4');
  assert.match(await valueOf(unbuilt, '&far_counter'), /0x200000/);
  assert.deepEqual(
    (await unbuilt.sliced.functionByName('far_main')).map(({ start }) => start),
    [BigInt(LARGE_TEXT)],
  );
  const { asked, loadIndex } = loader(undefined, async () => indexOf(WITH_TABLE));
  assert.equal(await valueOf(open(WITH_TABLE, loadIndex), 'FAR_RED + 0'), '7');
  assert.equal(asked.length, 2);
});

test('a list of names that leaves out a unit is not used', async () => {
  // The number of units in the header of .debug_names; the padding makes the place easy to find.
  const bytes = WITH_TABLE.slice();
  const at = Buffer.from(bytes.buffer).lastIndexOf(Uint8Array.of(5, 0, 0, 0));
  const count = new DataView(bytes.buffer).getUint32(at + 4, true);
  assert.ok(count > 16);
  new DataView(bytes.buffer).setUint32(at + 4, count - 1, true);
  const image = open(bytes, loader(undefined, async () => indexOf(bytes)).loadIndex);
  assert.equal(image.isIndexed, false);
  assert.equal(await valueOf(image, 'sizeof(struct far_away)'), '4');
});
