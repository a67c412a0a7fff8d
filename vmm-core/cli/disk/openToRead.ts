/** Images that a command reads or changes. A user who names one to us trusts the files that it names. */
import type { ImageOptions, Layer } from '../../backends/disk/openImage.ts';
import { attachLayers, openImage } from '../../backends/disk/openImage.ts';
import type { NamedImage } from './imageArguments.ts';

export function openToRead(image: NamedImage): Layer {
  return topOf({ ...image, isReadOnly: true });
}

export function openToChange(image: NamedImage): Layer {
  return topOf({ ...image, isReadOnly: false });
}

function topOf(options: NamedImage & Pick<ImageOptions, 'isReadOnly'>): Layer {
  const opened = openImage({
    ...options,
    cache: 'writeback',
    discards: true,
    backing: 'anywhere',
    isSnapshot: false,
  });
  const [top] = attachLayers(opened);
  if (top === undefined) throw new RangeError('an image has at least one file');
  return top;
}
