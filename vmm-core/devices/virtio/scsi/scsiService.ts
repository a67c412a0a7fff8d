/**
 * Serves the SCSI host on its I/O thread: takes requests from the queues, has the drive say what they are
 * answered with, and reads the medium into the driver's buffers. Each is answered before the next is taken,
 * so there is never a task to abort. Virtio 1.2 §5.6.6.
 */
import { constants } from 'node:os';
import * as abi from '../../../abi/virtioScsi.ts';
import { VirtioScsiConfig } from '../../../abi/virtioScsi.ts';
import { SAM_STAT_CHECK_CONDITION, SAM_STAT_GOOD } from '../../../abi/scsi.ts';
import { closeOpened } from '../../../backends/disk/openImage.ts';
import { type FileTransfer, openTransfer } from '../../../backends/share/openTransfer.ts';
import { ChainCursor } from '../blk/chainCursor.ts';
import { HostErrors } from '../blk/hostErrors.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtQueue } from '../queue.ts';
import type { VirtioPort, VirtioService } from '../virtioClass.ts';
import { BLOCK_BYTES, Cdrom, OUTCOME, type Outcome } from './cdrom.ts';
import {
  EVENTQ,
  REQUESTQ,
  type ScsiCommand,
  type ScsiMedium,
  type ScsiNews,
  type ScsiState,
} from './scsiState.ts';

// One go.
const REQUESTS_AT_ONCE = 32;
const BYTES_AT_ONCE = 4 * 2 ** 20;
const ROW = 0;
const { ENODATA } = constants.errno;
const MOST_HEADER_BYTES = abi.VIRTIO_SCSI_CMD_REQ_CDB + 252;
const MOST_RESPONSE_BYTES = abi.VIRTIO_SCSI_CMD_RESP_SENSE + 252;
/** Of a logical unit number, §5.6.6.1: 1, the target, and two bytes of the unit's. */
const LUN_ADDRESS = 1;

export class ScsiService implements VirtioService {
  readonly #port: VirtioPort<ScsiState>;
  readonly #chain = new DescriptorChain();
  readonly #cursor: ChainCursor;
  readonly #transfer: FileTransfer;
  readonly #errors: HostErrors;
  readonly #drive: Cdrom;
  readonly #header = new Uint8Array(MOST_HEADER_BYTES);
  readonly #response = new Uint8Array(MOST_RESPONSE_BYTES);
  readonly #responseView = new DataView(this.#response.buffer);
  readonly #config: DataView;
  #medium: ScsiMedium;
  #bytesRead = 0;
  #commands = 0;
  #failures = 0;

  constructor(port: VirtioPort<ScsiState>) {
    this.#port = port;
    this.#medium = port.opened as ScsiMedium; // ScsiBackend.opened
    this.#drive = new Cdrom(this.#medium.opened.sizeBytes);
    this.#cursor = new ChainCursor(this.#chain, port.memory);
    this.#transfer = openTransfer(port.memory);
    this.#errors = new HostErrors((message) => this.#tell({ kind: 'trouble', message }));
    const { config } = port.state.regs;
    this.#config = new DataView(config.buffer, config.byteOffset, config.byteLength);
    this.#count();
  }

  /** Buffers of the event queue are kept: no event was negotiated (§5.6.6.3). */
  onKick(index: number): boolean {
    if (index === EVENTQ) return false;
    const queue = this.#port.queue(index);
    let requests = 0;
    const before = this.#bytesRead;
    while (
      requests < REQUESTS_AT_ONCE &&
      this.#bytesRead - before < BYTES_AT_ONCE &&
      queue.pop(this.#chain)
    ) {
      const isGood = index === REQUESTQ ? this.#command(queue) : this.#control(queue);
      if (!isGood) return false;
      requests++;
    }
    this.#count();
    this.#port.notifyUsed(queue);
    return requests === REQUESTS_AT_ONCE || this.#bytesRead - before >= BYTES_AT_ONCE;
  }

  onMessage(message: unknown): void {
    const { id, medium } = message as ScsiCommand; // ScsiBackend sends nothing else
    closeOpened(this.#medium.opened);
    this.#medium = medium;
    this.#drive.insert(medium.opened.sizeBytes);
    this.#count();
    this.#tell({ kind: 'changed', id });
  }

  reset(): void {
    this.#drive.reset();
    this.#count();
  }

  close(): void {
    closeOpened(this.#medium.opened);
  }

  /** False: the driver broke a rule. */
  #command(queue: VirtQueue): boolean {
    const headerBytes = abi.VIRTIO_SCSI_CMD_REQ_CDB + this.#size(VirtioScsiConfig.fields.cdb_size.offset);
    const senseBytes = this.#size(VirtioScsiConfig.fields.sense_size.offset);
    const responseBytes = abi.VIRTIO_SCSI_CMD_RESP_SENSE + senseBytes;
    const { readableBytes, writableBytes, head } = this.#chain;
    if (readableBytes < headerBytes) return this.#fail('a request shorter than its header');
    if (writableBytes < responseBytes) return this.#fail('a request without room for its response');
    const header = this.#header;
    header.fill(0);
    this.#cursor.toReadable(0);
    this.#cursor.copyOut(header.subarray(0, headerBytes));
    this.#commands++;
    const room = writableBytes - responseBytes;
    const unit = unitOf(header, 0);
    if (unit < 0) this.#setResponse(abi.VIRTIO_SCSI_S_BAD_TARGET, SAM_STAT_GOOD, room);
    else this.#execute(header.subarray(abi.VIRTIO_SCSI_CMD_REQ_CDB), { unit, room, responseBytes });
    if (this.#response[abi.VIRTIO_SCSI_CMD_RESP_STATUS] !== SAM_STAT_GOOD) this.#failures++;
    this.#cursor.toWritable();
    this.#cursor.copyIn(this.#response.subarray(0, responseBytes));
    queue.push(head, writableBytes - this.#responseView.getUint32(abi.VIRTIO_SCSI_CMD_RESP_RESID, true));
    return true;
  }

  #execute(
    cdb: Uint8Array,
    { unit, room, responseBytes }: { unit: number; room: number; responseBytes: number },
  ): void {
    const drive = this.#drive;
    let outcome: Outcome = unit === 0 ? drive.execute(cdb) : drive.executeElsewhere(cdb);
    let written = 0;
    let wanted = 0;
    if (outcome === OUTCOME.READ) {
      wanted = drive.readBytes;
      written = Math.min(wanted, room);
      if (!this.#read(written, responseBytes)) outcome = drive.failRead();
    } else if (outcome === OUTCOME.DATA) {
      written = Math.min(drive.dataBytes, room);
      this.#cursor.toWritable();
      this.#cursor.skip(responseBytes);
      this.#cursor.copyIn(drive.data.subarray(0, written));
    }
    if (outcome === OUTCOME.CHECK) return this.#setCheck(room, responseBytes);
    const response = wanted > room ? abi.VIRTIO_SCSI_S_OVERRUN : abi.VIRTIO_SCSI_S_OK;
    this.#setResponse(response, SAM_STAT_GOOD, room - written);
  }

  /** False: the medium cannot be read there, and the user is told why. */
  #read(lengthBytes: number, at: number): boolean {
    const { iovecs } = this.#transfer;
    const [file] = this.#medium.opened.files;
    for (let done = 0; done < lengthBytes;) {
      iovecs.clear(ROW);
      this.#cursor.toWritable();
      this.#cursor.skip(at + done); // a read may end early, and what is wrong is told by the next
      const part = Math.min(lengthBytes - done, BYTES_AT_ONCE);
      if (!this.#cursor.addTo(iovecs, ROW, part) || file === undefined) return false;
      const result = this.#transfer.read(file.fd, this.#drive.readOffset + done);
      if (result <= 0) {
        this.#errors.ofCall('read', result < 0 ? -result : ENODATA, this.#medium.path);
        return false;
      }
      done += result;
    }
    this.#bytesRead += lengthBytes;
    return true;
  }

  #setCheck(room: number, responseBytes: number): void {
    const { sense } = this.#drive;
    const senseBytes = Math.min(sense.length, responseBytes - abi.VIRTIO_SCSI_CMD_RESP_SENSE);
    this.#setResponse(abi.VIRTIO_SCSI_S_OK, SAM_STAT_CHECK_CONDITION, room);
    this.#responseView.setUint32(0, senseBytes, true);
    this.#response.set(sense.subarray(0, senseBytes), abi.VIRTIO_SCSI_CMD_RESP_SENSE);
  }

  #setResponse(response: number, status: number, residualBytes: number): void {
    this.#response.fill(0);
    this.#responseView.setUint32(abi.VIRTIO_SCSI_CMD_RESP_RESID, residualBytes, true);
    this.#response[abi.VIRTIO_SCSI_CMD_RESP_STATUS] = status;
    this.#response[abi.VIRTIO_SCSI_CMD_RESP_RESPONSE] = response;
  }

  /** §5.6.6.2. */
  #control(queue: VirtQueue): boolean {
    const { readableBytes, writableBytes, head } = this.#chain;
    const header = this.#header.fill(0);
    this.#cursor.toReadable(0);
    this.#cursor.copyOut(header.subarray(0, Math.min(readableBytes, abi.VIRTIO_SCSI_CTRL_TMF_REQ_BYTES)));
    const isTask = header[0] === abi.VIRTIO_SCSI_T_TMF;
    const [needed, answerBytes] = isTask
      ? [abi.VIRTIO_SCSI_CTRL_TMF_REQ_BYTES, 1]
      : [abi.VIRTIO_SCSI_CTRL_AN_REQ_BYTES, abi.VIRTIO_SCSI_CTRL_AN_RESP_BYTES];
    if (readableBytes < needed) return this.#fail('a control request shorter than its kind');
    if (writableBytes < answerBytes) return this.#fail('a control request without room for its response');
    const answer = this.#response.fill(0).subarray(0, answerBytes);
    answer[answerBytes - 1] = isTask ? this.#manageTask(header) : this.#queryEvents(header);
    this.#cursor.toWritable();
    this.#cursor.copyIn(answer);
    queue.push(head, answerBytes);
    return true;
  }

  /** There is never a task that is not answered: to end one, or all, is done at once. */
  #manageTask(header: Uint8Array): number {
    const subtype = header[4] ?? 0;
    const unit = unitOf(header, abi.VIRTIO_SCSI_CTRL_TMF_REQ_LUN);
    if (unit < 0) return abi.VIRTIO_SCSI_S_BAD_TARGET;
    if (subtype > abi.VIRTIO_SCSI_T_TMF_QUERY_TASK_SET) return abi.VIRTIO_SCSI_S_FUNCTION_REJECTED;
    const isNexus = subtype === abi.VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET;
    if (unit !== 0 && !isNexus) return abi.VIRTIO_SCSI_S_INCORRECT_LUN;
    if (isNexus || subtype === abi.VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET) this.#drive.reset();
    return abi.VIRTIO_SCSI_S_OK;
  }

  /** No event is ever notified of by itself: none is subscribed to. */
  #queryEvents(header: Uint8Array): number {
    if (header[0] !== abi.VIRTIO_SCSI_T_AN_QUERY && header[0] !== abi.VIRTIO_SCSI_T_AN_SUBSCRIBE)
      return abi.VIRTIO_SCSI_S_FUNCTION_REJECTED;
    const unit = unitOf(header, abi.VIRTIO_SCSI_CTRL_AN_REQ_LUN);
    return unit === 0 ? abi.VIRTIO_SCSI_S_OK : abi.VIRTIO_SCSI_S_BAD_TARGET;
  }

  /** As the driver has set it, and no larger than it may. */
  #size(offset: number): number {
    return Math.min(this.#config.getUint32(offset, true), 252);
  }

  #fail(rule: string): boolean {
    this.#port.fail(`§5.6.6: ${rule}`);
    return false;
  }

  #tell(news: ScsiNews): void {
    this.#port.tell?.(news);
  }

  #count(): void {
    const { regs } = this.#port.state;
    regs.blocks = Math.floor(this.#medium.opened.sizeBytes / BLOCK_BYTES);
    regs.isEjected = this.#drive.isEjected ? 1 : 0;
    regs.isLocked = this.#drive.isLocked ? 1 : 0;
    regs.commands = this.#commands;
    regs.failures = this.#failures;
    regs.kibRead = this.#bytesRead / 1024;
  }
}

/** The unit of target 0; -1: there is no such target. */
function unitOf(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== LUN_ADDRESS || bytes[at + 1] !== 0) return -1;
  return ((bytes[at + 2] ?? 0) & 0x3f) * 0x100 + (bytes[at + 3] ?? 0);
}
