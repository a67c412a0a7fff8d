/**
 * A CD-ROM drive as SCSI commands see it (SPC-4, SBC-3, MMC-6): what a command is answered with, and what of
 * the medium it reads. Knows no transport and no file. Data that a command asks for is made in `data`.
 */
import * as scsi from '../../../abi/scsi.ts';
import { ASC } from '../../../abi/scsi.ts';
import { writeConfiguration, writeDiscInfo, writeInquiry, writeModePages, writeToc } from './cdromTables.ts';

export const BLOCK_BYTES = 2048;
/** In one command. Linux asks for half a megabyte. */
export const MOST_READ_BYTES = 0xffff * 512;
const DATA_BYTES = 512;

export const OUTCOME = {
  /** `data` has `dataBytes`, which may be none. */
  DATA: 0,
  /** Of the medium, `readBytes` from `readOffset` on. */
  READ: 1,
  /** CHECK CONDITION, and `sense` says why. */
  CHECK: 2,
} as const;
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];

// GET EVENT STATUS NOTIFICATION, MMC-6 §6.6.
const MEDIA_CLASS = 4;
const NO_EVENT = 0;
const NEW_MEDIA = 2;
const MEDIA_REMOVAL = 3;
const MEDIUM_PRESENT = 0x02;

export class Cdrom {
  readonly data = new Uint8Array(DATA_BYTES);
  readonly sense = new Uint8Array(scsi.SENSE_BYTES);
  dataBytes = 0;
  readOffset = 0;
  readBytes = 0;
  readonly #view = new DataView(this.data.buffer);
  #blocks = 0;
  /** By the guest, which may load it again. */
  #isEjected = false;
  #isLocked = false;
  /** An additional sense code that the next command is told, once; 0: none. */
  #attention: number = ASC.POWER_ON_OR_RESET;
  #event = NO_EVENT;

  /** What is left of the last block is not there. */
  constructor(sizeBytes: number) {
    this.#blocks = Math.floor(sizeBytes / BLOCK_BYTES);
  }

  get isEjected(): boolean {
    return this.#isEjected;
  }

  get isLocked(): boolean {
    return this.#isLocked;
  }

  /** Another medium is in the drive. */
  insert(sizeBytes: number): void {
    this.#blocks = Math.floor(sizeBytes / BLOCK_BYTES);
    this.#isEjected = false;
    this.#attention = ASC.NOT_READY_TO_READY_CHANGE;
    this.#event = NEW_MEDIA;
  }

  /** SAM-5 §6: of the unit, or of all. */
  reset(): void {
    this.#isLocked = false;
    this.#attention = ASC.POWER_ON_OR_RESET;
  }

  /** A read of the medium has failed. */
  failRead(): Outcome {
    return this.#check(scsi.MEDIUM_ERROR, ASC.UNRECOVERED_READ_ERROR);
  }

  /** Of a unit that is not there: SPC-4 §5.12 has some commands answered all the same. */
  executeElsewhere(cdb: Uint8Array): Outcome {
    this.dataBytes = 0;
    if (cdb[0] !== scsi.INQUIRY) return this.#check(scsi.ILLEGAL_REQUEST, ASC.LOGICAL_UNIT_NOT_SUPPORTED);
    const outcome = this.#inquiry(cdb);
    this.data[0] = scsi.NO_LOGICAL_UNIT;
    return outcome;
  }

  execute(cdb: Uint8Array): Outcome {
    this.dataBytes = 0;
    switch (cdb[0]) {
      case scsi.INQUIRY:
        return this.#inquiry(cdb);
      case scsi.REPORT_LUNS:
        return this.#reportLuns(cdb);
      case scsi.REQUEST_SENSE:
        return this.#requestSense(cdb);
      case scsi.GPCMD_GET_EVENT_STATUS_NOTIFICATION:
        return this.#eventStatus(cdb);
      case scsi.GPCMD_GET_CONFIGURATION:
        return this.#configuration(cdb);
      default:
        return this.#attention === 0 ? this.#executeReady(cdb) : this.#takeAttention();
    }
  }

  /** What does not hear of attentions is done. */
  #executeReady(cdb: Uint8Array): Outcome {
    switch (cdb[0]) {
      case scsi.START_STOP:
        return this.#startStop(cdb);
      case scsi.ALLOW_MEDIUM_REMOVAL:
        this.#isLocked = ((cdb[4] ?? 0) & 1) !== 0;
        return OUTCOME.DATA;
      case scsi.MODE_SENSE:
        return this.#modeSense(cdb, 4, cdb[4] ?? 0);
      case scsi.MODE_SENSE_10:
        return this.#modeSense(cdb, 8, u16(cdb, 7));
      case scsi.TEST_UNIT_READY:
      case scsi.VERIFY:
        return this.#hasMedium ? OUTCOME.DATA : this.#noMedium();
      case scsi.READ_6:
        return this.#read(u24(cdb, 1) & 0x1f_ffff, (cdb[4] ?? 0) === 0 ? 256 : (cdb[4] ?? 0));
      case scsi.READ_10:
        return this.#read(u32(cdb, 2), u16(cdb, 7));
      case scsi.READ_12:
        return this.#read(u32(cdb, 2), u32(cdb, 6));
      case scsi.READ_16:
        return this.#read(u32(cdb, 2) * 2 ** 32 + u32(cdb, 6), u32(cdb, 10));
      case scsi.READ_CAPACITY:
        return this.#readCapacity();
      case scsi.SERVICE_ACTION_IN_16:
        return this.#readCapacity16(cdb);
      case scsi.READ_TOC:
        return this.#readToc(cdb);
      case scsi.GPCMD_READ_DISC_INFO:
        return this.#hasMedium ? this.#give(writeDiscInfo(this.#view), u16(cdb, 7)) : this.#noMedium();
      default:
        return this.#check(scsi.ILLEGAL_REQUEST, ASC.INVALID_COMMAND_OPERATION_CODE);
    }
  }

  get #hasMedium(): boolean {
    return !this.#isEjected && this.#blocks > 0;
  }

  #read(block: number, count: number): Outcome {
    if (!this.#hasMedium) return this.#noMedium();
    if (block + count > this.#blocks)
      return this.#check(scsi.ILLEGAL_REQUEST, ASC.LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE);
    if (count * BLOCK_BYTES > MOST_READ_BYTES) return this.#badField();
    this.readOffset = block * BLOCK_BYTES;
    this.readBytes = count * BLOCK_BYTES;
    return OUTCOME.READ;
  }

  #inquiry(cdb: Uint8Array): Outcome {
    const page = ((cdb[1] ?? 0) & 1) === 0 ? undefined : (cdb[2] ?? 0);
    if (page === undefined && cdb[2] !== 0) return this.#badField();
    const length = writeInquiry(this.data, page);
    return length === 0 ? this.#badField() : this.#give(length, u16(cdb, 3));
  }

  /** One unit, number 0. */
  #reportLuns(cdb: Uint8Array): Outcome {
    this.data.fill(0, 0, 16);
    this.#view.setUint32(0, 8);
    return this.#give(16, u32(cdb, 6));
  }

  #requestSense(cdb: Uint8Array): Outcome {
    const attention = this.#attention;
    this.#attention = 0;
    const isAbsent = attention === 0 && !this.#hasMedium;
    const key = attention !== 0 ? scsi.UNIT_ATTENTION : isAbsent ? scsi.NOT_READY : scsi.NO_SENSE;
    this.#setSense(key, isAbsent ? ASC.MEDIUM_NOT_PRESENT : attention);
    this.data.set(this.sense);
    return this.#give(scsi.SENSE_BYTES, cdb[4] ?? 0);
  }

  /** Only asked for, never waited for. */
  #eventStatus(cdb: Uint8Array): Outcome {
    if (((cdb[1] ?? 0) & 1) === 0) return this.#badField();
    const isMedia = ((cdb[4] ?? 0) & (1 << MEDIA_CLASS)) !== 0;
    this.data.fill(0, 0, 8);
    this.#view.setUint16(0, isMedia ? 6 : 2); // what follows these two bytes
    this.data[2] = isMedia ? MEDIA_CLASS : 0x80; // no event of what was asked for
    this.data[3] = 1 << MEDIA_CLASS;
    this.data[4] = this.#event;
    this.data[5] = this.#hasMedium ? MEDIUM_PRESENT : 0;
    if (isMedia) this.#event = NO_EVENT;
    return this.#give(isMedia ? 8 : 4, u16(cdb, 7));
  }

  #configuration(cdb: Uint8Array): Outcome {
    const length = writeConfiguration(this.#view, this.#hasMedium ? this.#blocks : 0, u16(cdb, 2));
    return this.#give(length, u16(cdb, 7));
  }

  #startStop(cdb: Uint8Array): Outcome {
    const [isLoad, isStart] = [((cdb[4] ?? 0) & 2) !== 0, ((cdb[4] ?? 0) & 1) !== 0];
    if (!isLoad) return OUTCOME.DATA; // nothing here spins
    if (!isStart && this.#isLocked) return this.#check(scsi.ILLEGAL_REQUEST, ASC.MEDIUM_REMOVAL_PREVENTED);
    if (isStart !== this.#isEjected) return OUTCOME.DATA;
    this.#isEjected = !isStart;
    this.#event = isStart ? NEW_MEDIA : MEDIA_REMOVAL;
    if (isStart) this.#attention = ASC.NOT_READY_TO_READY_CHANGE;
    return OUTCOME.DATA;
  }

  #modeSense(cdb: Uint8Array, headerBytes: number, room: number): Outcome {
    const page = (cdb[2] ?? 0) & 0x3f;
    const isSaved = (cdb[2] ?? 0) >> 6 === 3;
    const end = isSaved ? 0 : writeModePages(this.data, headerBytes, page, this.#isLocked);
    if (end === 0) return this.#badField();
    this.data.fill(0, 0, headerBytes);
    if (headerBytes === 4) this.data[0] = end - 1;
    else this.#view.setUint16(0, end - 2);
    return this.#give(end, room);
  }

  #readCapacity(): Outcome {
    if (!this.#hasMedium) return this.#noMedium();
    this.#view.setUint32(0, Math.min(this.#blocks - 1, 0xffff_ffff));
    this.#view.setUint32(4, BLOCK_BYTES);
    return this.#give(8, 8);
  }

  #readCapacity16(cdb: Uint8Array): Outcome {
    if (((cdb[1] ?? 0) & 0x1f) !== scsi.SAI_READ_CAPACITY_16) return this.#badField();
    if (!this.#hasMedium) return this.#noMedium();
    this.data.fill(0, 0, 32);
    this.#view.setUint32(0, Math.floor((this.#blocks - 1) / 2 ** 32));
    this.#view.setUint32(4, (this.#blocks - 1) >>> 0);
    this.#view.setUint32(8, BLOCK_BYTES);
    return this.#give(32, u32(cdb, 10));
  }

  #readToc(cdb: Uint8Array): Outcome {
    if (!this.#hasMedium) return this.#noMedium();
    const isTime = ((cdb[1] ?? 0) & 2) !== 0;
    // The format was in byte 9 before MMC-2, and some drivers still have it there.
    const format = ((cdb[2] ?? 0) & 0xf) | ((cdb[9] ?? 0) >> 6);
    const length = writeToc(this.#view, { format, track: cdb[6] ?? 0, isTime, blocks: this.#blocks });
    return length === 0 ? this.#badField() : this.#give(length, u16(cdb, 7));
  }

  #give(lengthBytes: number, roomBytes: number): Outcome {
    this.dataBytes = Math.min(lengthBytes, roomBytes);
    return OUTCOME.DATA;
  }

  #takeAttention(): Outcome {
    const code = this.#attention;
    this.#attention = 0;
    return this.#check(scsi.UNIT_ATTENTION, code);
  }

  #noMedium(): Outcome {
    return this.#check(scsi.NOT_READY, ASC.MEDIUM_NOT_PRESENT);
  }

  #badField(): Outcome {
    return this.#check(scsi.ILLEGAL_REQUEST, ASC.INVALID_FIELD_IN_CDB);
  }

  #check(key: number, code: number): Outcome {
    this.#setSense(key, code);
    this.dataBytes = 0;
    return OUTCOME.CHECK;
  }

  #setSense(key: number, code: number): void {
    this.sense.fill(0);
    this.sense[0] = scsi.SENSE_CURRENT;
    this.sense[scsi.SENSE_KEY] = key;
    this.sense[scsi.SENSE_ADDITIONAL_LENGTH] = scsi.SENSE_BYTES - 8;
    this.sense[scsi.SENSE_ASC] = code >> 8;
    this.sense[scsi.SENSE_ASCQ] = code & 0xff;
  }
}

// SCSI's numbers are big-endian.

function u16(cdb: Uint8Array, at: number): number {
  return (cdb[at] ?? 0) * 0x100 + (cdb[at + 1] ?? 0);
}

function u24(cdb: Uint8Array, at: number): number {
  return u16(cdb, at) * 0x100 + (cdb[at + 2] ?? 0);
}

function u32(cdb: Uint8Array, at: number): number {
  return u16(cdb, at) * 0x1_0000 + u16(cdb, at + 2);
}
