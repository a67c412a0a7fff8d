/**
 * The header of a packet (virtio 1.2 §5.10.6), read from and written to buffers that the driver may have cut
 * anywhere. One object serves all packets of a direction.
 */
import { VirtioVsockHdr } from '../../../abi/virtioVsock.ts';
import { gpa, type GuestMemory } from '../../../memory/guestMemory.ts';
import type { DescriptorChain } from '../descriptorChain.ts';

export const HEADER_BYTES = VirtioVsockHdr.size;

const FIELDS = VirtioVsockHdr.fields;
const HIGH = 4;

export class PacketHeader {
  srcCid = 0;
  dstCid = 0;
  /** Of the addresses: bits 32 to 63, which are zero in all that there are. */
  srcCidHigh = 0;
  dstCidHigh = 0;
  srcPort = 0;
  dstPort = 0;
  len = 0;
  type = 0;
  op = 0;
  flags = 0;
  bufAlloc = 0;
  fwdCnt = 0;
  readonly #bytes = new Uint8Array(HEADER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  /** The first bytes that the device reads, each once. False: there are not so many. */
  read(chain: DescriptorChain, memory: GuestMemory): boolean {
    if (chain.readableBytes < HEADER_BYTES) return false;
    const isWhole = (chain.length[0] ?? 0) >= HEADER_BYTES;
    if (isWhole) this.#readWords(memory, chain.gpa[0] ?? 0);
    else this.#readBytes(chain, memory);
    const view = this.#view;
    this.srcCid = view.getUint32(FIELDS.src_cid.offset, true);
    this.srcCidHigh = view.getUint32(FIELDS.src_cid.offset + HIGH, true);
    this.dstCid = view.getUint32(FIELDS.dst_cid.offset, true);
    this.dstCidHigh = view.getUint32(FIELDS.dst_cid.offset + HIGH, true);
    this.srcPort = view.getUint32(FIELDS.src_port.offset, true);
    this.dstPort = view.getUint32(FIELDS.dst_port.offset, true);
    this.len = view.getUint32(FIELDS.len.offset, true);
    this.type = view.getUint16(FIELDS.type.offset, true);
    this.op = view.getUint16(FIELDS.op.offset, true);
    this.flags = view.getUint32(FIELDS.flags.offset, true);
    this.bufAlloc = view.getUint32(FIELDS.buf_alloc.offset, true);
    this.fwdCnt = view.getUint32(FIELDS.fwd_cnt.offset, true);
    return true;
  }

  /** Over the first bytes that the device writes, of which there are enough. */
  write(chain: DescriptorChain, memory: GuestMemory): void {
    const view = this.#view;
    view.setUint32(FIELDS.src_cid.offset, this.srcCid, true);
    view.setUint32(FIELDS.src_cid.offset + HIGH, this.srcCidHigh, true);
    view.setUint32(FIELDS.dst_cid.offset, this.dstCid, true);
    view.setUint32(FIELDS.dst_cid.offset + HIGH, this.dstCidHigh, true);
    view.setUint32(FIELDS.src_port.offset, this.srcPort, true);
    view.setUint32(FIELDS.dst_port.offset, this.dstPort, true);
    view.setUint32(FIELDS.len.offset, this.len, true);
    view.setUint16(FIELDS.type.offset, this.type, true);
    view.setUint16(FIELDS.op.offset, this.op, true);
    view.setUint32(FIELDS.flags.offset, this.flags, true);
    view.setUint32(FIELDS.buf_alloc.offset, this.bufAlloc, true);
    view.setUint32(FIELDS.fwd_cnt.offset, this.fwdCnt, true);
    const { readable, length, gpa: start } = chain;
    if ((length[readable] ?? 0) >= HEADER_BYTES) this.#writeWords(memory, start[readable] ?? 0);
    else this.#writeBytes(chain, memory);
  }

  #readWords(memory: GuestMemory, at: number): void {
    for (let i = 0; i < HEADER_BYTES; i += 4) this.#view.setUint32(i, memory.readU32(gpa(at + i)), true);
  }

  #writeWords(memory: GuestMemory, at: number): void {
    for (let i = 0; i < HEADER_BYTES; i += 4) memory.writeU32(gpa(at + i), this.#view.getUint32(i, true));
  }

  #readBytes({ gpa: start, length }: DescriptorChain, memory: GuestMemory): void {
    for (let i = 0, segment = 0, offset = 0; i < HEADER_BYTES; i++, offset++) {
      while (offset >= (length[segment] ?? 0)) {
        segment++;
        offset = 0;
      }
      this.#bytes[i] = memory.readU8(gpa((start[segment] ?? 0) + offset));
    }
  }

  #writeBytes({ gpa: start, length, readable }: DescriptorChain, memory: GuestMemory): void {
    for (let i = 0, segment = readable, offset = 0; i < HEADER_BYTES; i++, offset++) {
      while (offset >= (length[segment] ?? 0)) {
        segment++;
        offset = 0;
      }
      memory.writeU8(gpa((start[segment] ?? 0) + offset), this.#bytes[i] ?? 0);
    }
  }
}
