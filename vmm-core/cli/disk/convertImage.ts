/** A new image with the content of another; none when it is interrupted or fails. */
import { copyImage, type CopyOptions } from '../../backends/disk/copyImage.ts';
import { formatImage, type NewImage } from '../../backends/disk/createImage.ts';
import { NewImageFile } from '../../backends/disk/newImageFile.ts';
import { attachFile, type Layer } from '../../backends/disk/openImage.ts';
import type { Qcow2Format } from '../../backends/disk/qcow2/formatQcow2.ts';
import { UserError } from '../../errors.ts';
import { withProgress } from './diskCommand.ts';
import type { NamedImage } from './imageArguments.ts';
import { openToRead } from './openToRead.ts';

export interface ConvertOptions {
  /** The source's when undefined. */
  readonly sizeBytes?: number | undefined;
  readonly compresses?: boolean;
  readonly qcow2?: Partial<Omit<Qcow2Format, 'sizeBytes' | 'backing'>>;
}

export async function convertImage(from: NamedImage, to: NamedImage, options: ConvertOptions): Promise<void> {
  const source = openToRead(from);
  try {
    const { sizeBytes = source.sizeBytes, compresses = false, qcow2 = {} } = options;
    if (sizeBytes < source.sizeBytes)
      throw new UserError(
        `the disk has ${source.sizeBytes} bytes, more than -s says: leave -s out, or give more`,
      );
    if (compresses && to.format !== 'qcow2')
      throw new UserError(`only a qcow2 image can be compressed: write qcow2:${to.path}`);
    const image = { format: to.format, sizeBytes, qcow2 };
    await withProgress(source.sizeBytes, (work) => makeCopy(source, to.path, image, { ...work, compresses }));
  } finally {
    source.close();
  }
}

async function makeCopy(source: Layer, path: string, image: NewImage, options: CopyOptions): Promise<void> {
  const made = new NewImageFile(path);
  try {
    formatImage(made.file, image);
    const target = attachFile(made.file, image.format);
    try {
      await copyImage(source, target, options);
    } finally {
      target.close();
    }
    made.keep();
  } catch (error) {
    made.drop();
    throw error;
  }
}
