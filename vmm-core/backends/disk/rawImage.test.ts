import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RecordedFile } from '../../../test/support/recordedFile.ts';
import { RawImage } from './rawImage.ts';

const MIB = 2 ** 20;

class Device extends RecordedFile {
  override readonly maxBytes = MIB;
}

it('a device is not resized, but what others have made of it is taken over', () => {
  const file = new Device(new Uint8Array(MIB));
  const image = new RawImage(file, { isReadOnly: false, discards: true, isUnsafe: false });
  assert.throws(() => image.resize(2 * MIB), /is a device of 1048576 bytes, which can only be resized by/);
  assert.equal(image.sizeBytes, MIB);
  file.truncate(2 * MIB); // as lvextend does
  image.resize(2 * MIB);
  assert.equal(image.sizeBytes, 2 * MIB);
});
