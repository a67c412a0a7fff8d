/**
 * Hostile drivers of the CD-ROM: commands of any kind, right and wrong, in chains of any pieces. Whatever
 * comes, there is one answer, of as many bytes as it says; what is read is what is on the medium, and what
 * was not written stays.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as scsiAbi from '../../vmm-core/abi/scsi.ts';
import * as abi from '../../vmm-core/abi/virtioScsi.ts';
import { virtioScsi } from '../../vmm-core/devices/virtio/scsi/scsiHost.ts';
import { SCSI_STATE } from '../../vmm-core/devices/virtio/scsi/scsiState.ts';
import { allocateGuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { randomNumbers } from './devices.ts';
import { MockDriver, OFF_START, readable, writable } from './mockDriver.ts';
import { MmioDriver, VirtioMachine } from './virtioMachine.ts';

type Random = (below: number) => number;

const BLOCK = 2048;
const BLOCKS = 40;
const STEPS = 60;
const RESPONSE_BYTES = 108;
const UNTOUCHED = 0xa5;
const CODES = [
  ...[scsiAbi.TEST_UNIT_READY, scsiAbi.REQUEST_SENSE, scsiAbi.READ_6, scsiAbi.INQUIRY, scsiAbi.MODE_SENSE],
  ...[scsiAbi.START_STOP, scsiAbi.ALLOW_MEDIUM_REMOVAL, scsiAbi.READ_CAPACITY, scsiAbi.READ_TOC],
  ...[scsiAbi.MODE_SENSE_10, scsiAbi.GPCMD_GET_CONFIGURATION, scsiAbi.GPCMD_GET_EVENT_STATUS_NOTIFICATION],
  ...[scsiAbi.GPCMD_READ_DISC_INFO, scsiAbi.READ_16, scsiAbi.SERVICE_ACTION_IN_16, scsiAbi.REPORT_LUNS],
];

export async function scsiRound(seed: number): Promise<void> {
  await virtioScsi.load?.([]);
  const random = randomNumbers(seed + 1);
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-fuzz-scsi-'));
  try {
    const image = Buffer.from(Array.from({ length: BLOCKS * BLOCK }, (_, i) => (i * 7 + (i >> 11)) & 0xff));
    const file = path.join(folder, 'a.iso');
    writeFileSync(file, image);
    runDriver(random, file, image);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function runDriver(random: Random, file: string, image: Buffer): void {
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x100_0000 }], OFF_START);
  const queues = [0x1_0000, 0x2_0000, 0x3_0000].map(
    (base) => new MockDriver({ memory, size: 64, base, hasEventIdx: true }),
  );
  const [control = assert.fail(), , requests = assert.fail()] = queues;
  const machine = new VirtioMachine(virtioScsi, SCSI_STATE, memory, { virtio: 'mmio', cdrom: file });
  const driver = new MmioDriver(machine);
  driver.start(queues.map((it) => it.rings));
  for (let step = 0; step < STEPS && machine.brokenRule === ''; step++) {
    if (random(8) === 0) oneTask(random, control, driver);
    else oneCommand(random, requests, driver, image);
  }
  machine.service?.pause();
  machine.service?.close();
}

function oneTask(random: Random, queue: MockDriver, driver: MmioDriver): void {
  const request = Buffer.alloc(random(10) === 0 ? 1 + random(30) : 24, 0);
  for (let i = 0; i < request.length; i++) if (random(3) === 0) request[i] = random(10);
  const head = queue.addChain([readable(request), writable(1 + random(6))]);
  driver.kick(0);
  const used = queue.used();
  assert.ok(used.length === 0 || (used[0]?.head === head && used[0].writtenBytes <= 6));
}

function oneCommand(random: Random, queue: MockDriver, driver: MmioDriver, image: Buffer): void {
  const header = Buffer.alloc(random(60) === 0 ? 40 : 51);
  header.set([1, random(12) === 0 ? random(3) : 0, 0x40, random(12) === 0 ? 1 : 0]);
  const cdb = header.subarray(abi.VIRTIO_SCSI_CMD_REQ_CDB);
  const isRead = random(2) === 0;
  cdb[0] = isRead ? scsiAbi.READ_10 : random(20) === 0 ? random(256) : (CODES[random(CODES.length)] ?? 0);
  const [block, count] = [random(BLOCKS + 3), random(4)];
  if (isRead) {
    cdb[5] = block;
    cdb[8] = count;
  } else for (let i = 1; i < 16; i++) if (random(2) === 0) cdb[i] = random(random(4) === 0 ? 256 : 4);
  const room = Array.from({ length: random(4) }, () => 1 + random(3 * BLOCK));
  const segments = [readable(header), writable(RESPONSE_BYTES), ...room.map((it) => writable(it))];
  const head = queue.addChain(segments);
  const places = segments.map((_, i) => queue.descriptorOf(head, i));
  for (const it of places.slice(2)) queue.bytesOf(it).fill(UNTOUCHED);
  driver.kick(2);
  const [used] = queue.used();
  if (used === undefined) return assert.ok(header.length < 51, 'only a cut request has no answer');
  const response = Buffer.from(queue.bytesOf(places[1] ?? 0));
  const data = Buffer.concat(places.slice(2).map((it) => queue.bytesOf(it)));
  const written = data.length - response.readUInt32LE(abi.VIRTIO_SCSI_CMD_RESP_RESID);
  assert.equal(used.writtenBytes, RESPONSE_BYTES + written);
  assert.ok(written >= 0);
  assert.ok(data.subarray(written).every((it) => it === UNTOUCHED));
  const isGood =
    response[abi.VIRTIO_SCSI_CMD_RESP_STATUS] === scsiAbi.SAM_STAT_GOOD &&
    response[abi.VIRTIO_SCSI_CMD_RESP_RESPONSE] !== abi.VIRTIO_SCSI_S_BAD_TARGET;
  assert.equal(response.readUInt32LE(0) === 0, isGood || response[abi.VIRTIO_SCSI_CMD_RESP_RESPONSE] !== 0);
  if (!isRead || !isGood) return;
  assert.ok(block + count <= BLOCKS);
  assert.equal(written, Math.min(count * BLOCK, data.length));
  assert.deepEqual(data.subarray(0, written), image.subarray(block * BLOCK, block * BLOCK + written));
}
