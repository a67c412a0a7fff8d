/** What a file looks like: for messages only. */
import type { ImageFile } from './imageFile.ts';

const SIGNATURES: readonly (readonly [offset: number, text: string, name: string])[] = [
  [0, 'QFI\xfb', 'qcow2'],
  [0, 'KDMV', 'a VMDK image'],
  [0, '# Disk DescriptorFile', 'a VMDK description'],
  [0, 'vhdxfile', 'a VHDX image'],
  [0, 'conectix', 'a VHD image'],
  [64, '\x7f\x10\xda\xbe', 'a VDI image'],
  [0, 'QED\0', 'a QED image'],
  [0, '\x1f\x8b', 'a gzip file'],
  [0, '\x28\xb5\x2f\xfd', 'a zstd file'],
  [0, '\xfd7zXZ', 'an xz file'],
];
/** In an image whose format is raw. */
const RAW_SIGNATURES: typeof SIGNATURES = [
  [0x8001, 'CD001', 'an ISO image: its format is raw'],
  [510, '\x55\xaa', 'a raw disk with a boot sector'],
];
const READ_BYTES = 0x8800;

export function imageSignature(file: ImageFile): string | undefined {
  return signatureIn(file, [...SIGNATURES, ...RAW_SIGNATURES]);
}

/** Undefined when it may well be raw. */
export function otherFormat(file: ImageFile): string | undefined {
  return signatureIn(file, SIGNATURES);
}

/** What to do about an image that is not raw, as was said. */
export function cureOf(looks: string): string {
  return looks === 'qcow2' ? 'say that its format is qcow2' : 'convert it with qemu-img';
}

function signatureIn(file: ImageFile, signatures: typeof SIGNATURES): string | undefined {
  const start = new Uint8Array(READ_BYTES);
  file.read(start, 0);
  const text = Buffer.from(start).toString('latin1');
  return signatures.find(([offset, signature]) => text.startsWith(signature, offset))?.[2];
}
