/**
 * What a CD-ROM drive says of itself and of its medium, in the layouts of SPC-4 and MMC-6. Each writes from
 * the start of the data, or as it says, and returns where it ends; 0: there is no such thing.
 */
import { TYPE_ROM } from '../../../abi/scsi.ts';

const VENDOR = 'TRAPFRME'; // 8 characters
const PRODUCT = 'VIRTUAL CD-ROM  '; // 16
const REVISION = '1   ';
const SPC_3 = 0x05;
const RESPONSE_FORMAT = 0x02;
const REMOVABLE = 0x80;
const INQUIRY_BYTES = 36;

// Vital product data pages, SPC-4 §7.8.
const VPD_SUPPORTED = 0x00;
const VPD_SERIAL = 0x80;
const VPD_IDENTIFICATION = 0x83;
const SERIAL = 'cdrom0';

// Mode pages, MMC-6 §7.
const PAGE_ERROR_RECOVERY = 0x01;
const PAGE_CAPABILITIES = 0x2a;
const PAGE_ALL = 0x3f;

// Tracks, MMC-6 §6.25.
const DATA_TRACK = 0x14;
const LEAD_OUT = 0xaa;
const BLOCKS_PER_SECOND = 75;
const PREGAP_BLOCKS = 150;

// Profiles, MMC-6 table 92.
const PROFILE_CD_ROM = 0x08;
const PROFILE_DVD_ROM = 0x10;
/** 80 minutes. */
const CD_BLOCKS = 80 * 60 * BLOCKS_PER_SECOND;

/** `page`: of vital product data; undefined: the standard data. */
export function writeInquiry(data: Uint8Array, page: number | undefined): number {
  data.fill(0, 0, 64);
  data[0] = TYPE_ROM;
  switch (page) {
    case undefined:
      data.set([TYPE_ROM, REMOVABLE, SPC_3, RESPONSE_FORMAT, INQUIRY_BYTES - 5]);
      writeText(data, 8, VENDOR + PRODUCT + REVISION);
      return INQUIRY_BYTES;
    case VPD_SUPPORTED:
      data.set([page, 0, 3, VPD_SUPPORTED, VPD_SERIAL, VPD_IDENTIFICATION], 1);
      return 7;
    case VPD_SERIAL:
      data.set([page, 0, SERIAL.length], 1);
      writeText(data, 4, SERIAL);
      return 4 + SERIAL.length;
    case VPD_IDENTIFICATION: {
      const text = VENDOR + SERIAL;
      // One designator: ASCII, by the vendor's name, of the unit.
      data.set([page, 0, 4 + text.length, 0x02, 0x01, 0, text.length], 1);
      writeText(data, 8, text);
      return 8 + text.length;
    }
    default:
      return 0;
  }
}

/** From `at` on. */
export function writeModePages(data: Uint8Array, at: number, page: number, isLocked: boolean): number {
  let end = at;
  if (page === PAGE_ERROR_RECOVERY || page === PAGE_ALL) {
    data.fill(0, end, end + 8);
    data.set([PAGE_ERROR_RECOVERY, 6, 0, 5], end); // five tries
    end += 8;
  }
  if (page === PAGE_CAPABILITIES || page === PAGE_ALL) {
    data.fill(0, end, end + 22);
    // Reads CD-R, CD-RW and DVD-ROM; can lock and eject, with a tray; 706 kB/s, as all that counts it in.
    data.set([PAGE_CAPABILITIES, 20, 0x0b, 0, 0, 0, isLocked ? 0x2b : 0x29, 0, 0x02, 0xc2], end);
    data.set([0, 0, 2, 0, 2, 0xc2], end + 10); // no volume levels, a buffer of 512 KiB, the speed now
    end += 22;
  }
  return end === at ? 0 : end;
}

export interface TocRequest {
  readonly format: number;
  /** The first that is wanted. */
  readonly track: number;
  /** Addresses in minutes, seconds and frames. */
  readonly isTime: boolean;
  readonly blocks: number;
}

/** One track, and what is behind it; one session. */
export function writeToc(view: DataView, { format, track, isTime, blocks }: TocRequest): number {
  if (format > 1 || (format === 0 && track > 1 && track !== LEAD_OUT)) return 0;
  let end = 4;
  if (format === 1 || track <= 1) end = writeTrack(view, end, 1, isTime ? toTime(0) : 0);
  if (format === 0) end = writeTrack(view, end, LEAD_OUT, isTime ? toTime(blocks) : blocks);
  view.setUint16(0, end - 2);
  view.setUint16(2, 0x0101); // the first and the last, of tracks or of sessions
  return end;
}

/**
 * GET CONFIGURATION: the profiles, and nothing of what only writers have. `blocks` 0: no medium. `first`: the
 * feature from which on they are wanted, or the one (MMC-6 §6.5).
 */
export function writeConfiguration(view: DataView, blocks: number, first: number): number {
  const current = blocks === 0 ? 0 : blocks > CD_BLOCKS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
  view.setUint32(0, first === 0 ? 16 : 4); // what follows these four bytes
  view.setUint32(4, current);
  if (first > 0) return 8;
  view.setUint32(8, 0x0000_0308); // feature 0, the profiles: persistent and current, of 8 bytes
  view.setUint32(12, PROFILE_DVD_ROM * 0x1_0000 + (current === PROFILE_DVD_ROM ? 0x100 : 0));
  view.setUint32(16, PROFILE_CD_ROM * 0x1_0000 + (current === PROFILE_CD_ROM ? 0x100 : 0));
  return 20;
}

/** READ DISC INFORMATION: complete, of one session with one track. */
export function writeDiscInfo(view: DataView): number {
  for (let at = 0; at < 36; at += 4) view.setUint32(at, 0);
  view.setUint16(0, 32);
  view.setUint8(2, 0x0e);
  view.setUint32(3, 0x0101_0101);
  return 34;
}

function writeTrack(view: DataView, at: number, track: number, address: number): number {
  view.setUint32(at, DATA_TRACK * 0x1_0000 + track * 0x100);
  view.setUint32(at + 4, address);
  return at + 8;
}

function toTime(block: number): number {
  const frames = block + PREGAP_BLOCKS;
  const seconds = Math.floor(frames / BLOCKS_PER_SECOND);
  const minutes = Math.min(Math.floor(seconds / 60), 0xff);
  return minutes * 0x1_0000 + (seconds % 60) * 0x100 + (frames % BLOCKS_PER_SECOND);
}

function writeText(data: Uint8Array, at: number, text: string): void {
  new TextEncoder().encodeInto(text, data.subarray(at));
}
