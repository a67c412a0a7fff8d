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
const PACKED = new Set(['a gzip file', 'a zstd file', 'an xz file']);
/** In an image whose format is raw. */
const RAW_SIGNATURES: typeof SIGNATURES = [
  [0x8001, 'CD001', 'an ISO image'],
  [510, '\x55\xaa', 'a raw disk with a boot sector'],
];
const READ_BYTES = 0x8800;

/** Undefined when it may well be raw. */
export function otherFormat(file: ImageFile): string | undefined {
  return signatureIn(file, SIGNATURES);
}

/** What to do about an image that is not raw, as was said. */
export function cureOf(looks: string): string {
  if (looks === 'qcow2') return 'say that its format is qcow2';
  return PACKED.has(looks) ? 'unpack it' : 'convert it with qemu-img';
}

/** What to do about a file that is not qcow2, as was said: follows that. */
export function rawHint(file: ImageFile): string {
  const looks = otherFormat(file);
  if (looks !== undefined) return `; it looks like ${looks}: ${cureOf(looks)}`;
  const raw = signatureIn(file, RAW_SIGNATURES);
  return raw === undefined ? '; if it is raw, say so' : `; it looks like ${raw}: say that its format is raw`;
}

function signatureIn(file: ImageFile, signatures: typeof SIGNATURES): string | undefined {
  const start = new Uint8Array(READ_BYTES);
  file.read(start, 0);
  const text = Buffer.from(start).toString('latin1');
  return signatures.find(([offset, signature]) => text.startsWith(signature, offset))?.[2];
}
