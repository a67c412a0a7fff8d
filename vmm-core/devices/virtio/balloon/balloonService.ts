/**
 * The queues of a memory balloon (virtio 1.2 §5.5.6). Main thread: a driver inflates when it is asked to, and
 * reports free pages some seconds after they became that. Nothing has to be done for a deflated page, which
 * has been there all the time, as zeros.
 */
import { VIRTIO_BALLOON_F_REPORTING } from '../../../abi/virtioBalloon.ts';
import type { MemoryBalloon } from '../../../backends/backend.ts';
import { giveBack } from '../../../backends/balloon/hostMemory.ts';
import { log } from '../../../log.ts';
import { gpa } from '../../../memory/guestMemory.ts';
import { isRunning } from '../deviceStatus.ts';
import { ChainReader } from '../chainReader.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtioPort, VirtioService } from '../virtioClass.ts';
import {
  actualPages,
  type BalloonState,
  DEFLATEQ,
  INFLATEQ,
  PAGE_BYTES,
  REPORTINGQS,
  setTargetPages,
  STATSQ,
} from './balloonState.ts';
import { PageRuns } from './pageRuns.ts';
import { MAX_STATISTICS_BYTES, readStatistics, type Statistics } from './statistics.ts';

const CHAINS_AT_ONCE = 32;
/** One go, each at worst a call of the host. A chain may have 2^30 of them: then it takes many. */
const PAGES_AT_ONCE = 512;
/** Of free pages, which come in large pieces. */
const REPORTED_AT_ONCE = 64 << 20;
/** What a piece counts for at least: a driver that reports single pages has no more calls of the host. */
const LEAST_REPORTED = REPORTED_AT_ONCE / PAGES_AT_ONCE;
/** A guest that is stopped does not answer. */
const STATISTICS_MS = 1000;

export class BalloonService implements VirtioService, MemoryBalloon {
  readonly #virtio: VirtioPort<BalloonState>;
  readonly #numbers = new Uint32Array(PAGES_AT_ONCE);
  readonly #runs = new PageRuns((first, pages) => this.#give(first, pages));
  readonly #inflating: ChainReader;
  readonly #inflateChain = new DescriptorChain();
  /** Of #inflateChain there is more to do. */
  #isInflating = false;
  readonly #chain = new DescriptorChain();
  readonly #reportChain = new DescriptorChain();
  /** The queue that #reportChain is of; there is more of it to do from `#segment`, `#offset` on. */
  #reporting: number | undefined;
  #segment = 0;
  #offset = 0;
  /** The driver's buffer for statistics, which goes back to ask for new ones. */
  #statisticsHead: number | undefined;
  #statistics: Statistics = {};
  readonly #onStatistics = new Set<() => void>();
  #isTroubleTold = false;

  constructor(virtio: VirtioPort<BalloonState>) {
    this.#virtio = virtio;
    this.#inflating = new ChainReader(this.#inflateChain, virtio.memory);
  }

  get balloon(): MemoryBalloon {
    return this;
  }

  get targetBytes(): number {
    return this.#virtio.state.regs.targetPages * PAGE_BYTES;
  }

  get actualBytes(): number {
    return actualPages(this.#virtio.state.regs.config) * PAGE_BYTES;
  }

  get reportedBytes(): number {
    return this.#virtio.state.regs.reportedPages * PAGE_BYTES;
  }

  get isReady(): boolean {
    return isRunning(this.#virtio.state.regs.status);
  }

  setTarget(sizeBytes: number): void {
    const pages = Math.floor(sizeBytes / PAGE_BYTES);
    this.#virtio.changeConfig((config) => {
      this.#virtio.state.regs.targetPages = pages;
      setTargetPages(config, pages);
    });
  }

  async statistics(): Promise<Statistics> {
    if (this.#statisticsHead !== undefined && this.isReady) {
      const queue = this.#virtio.queue(STATSQ);
      queue.push(this.#statisticsHead, 0);
      this.#statisticsHead = undefined;
      this.#virtio.notifyUsed(queue);
      await this.#answered();
    } else if (this.#onStatistics.size > 0) {
      await this.#answered(); // somebody else has asked
    }
    return this.#statistics;
  }

  onKick(queue: number): boolean {
    if (queue === INFLATEQ) return this.#inflate();
    if (queue === DEFLATEQ) return this.#deflate();
    if (queue === STATSQ) return this.#takeStatistics();
    return REPORTINGQS.includes(queue) && this.#takeReports(queue);
  }

  /** What is half done of a chain stays so: its pages remain, which no guest can see. */
  pause(): void {
    if (this.#isInflating) this.#endInflating();
    if (this.#reporting !== undefined) this.#endReport(this.#reporting);
  }

  reset(): void {
    this.resetQueue(STATSQ);
    this.#statistics = {};
  }

  resetQueue(index: number): void {
    if (index !== STATSQ) return;
    this.#statisticsHead = undefined;
    this.#tellStatistics();
  }

  close(): void {
    this.#tellStatistics();
  }

  /** True: there may be more. */
  #inflate(): boolean {
    const queue = this.#virtio.queue(INFLATEQ);
    let left = PAGES_AT_ONCE;
    let chains = CHAINS_AT_ONCE;
    while (left > 0 && chains > 0) {
      if (!this.#isInflating) {
        if (!queue.pop(this.#inflateChain)) break;
        this.#inflating.begin();
        this.#isInflating = true;
      }
      left -= this.#giveNumbered(left);
      if (!this.#inflating.isAtEnd) continue;
      this.#endInflating();
      chains--;
    }
    this.#virtio.notifyUsed(queue);
    return left === 0 || chains === 0;
  }

  /** As many of the next page numbers as `limit`. Returns how many there were. */
  #giveNumbered(limit: number): number {
    const bytes = new Uint8Array(this.#numbers.buffer, 0, 4 * limit);
    const count = this.#inflating.read(bytes) >> 2; // copied: from here on it is what it is
    for (let i = 0; i < count; i++) this.#runs.add(this.#numbers[i] ?? 0);
    this.#runs.finish();
    return count;
  }

  #endInflating(): void {
    this.#isInflating = false;
    this.#virtio.queue(INFLATEQ).push(this.#inflateChain.head, 0);
  }

  /** A run that is not all in one slot of RAM goes page by page. */
  #give(first: number, pages: number): void {
    const { memory, state } = this.#virtio;
    if (memory.contains(first * PAGE_BYTES, pages * PAGE_BYTES)) {
      state.regs.givenPages += pages;
      this.#giveBack(first * PAGE_BYTES, pages * PAGE_BYTES);
    } else if (pages > 1) {
      for (let page = first; page < first + pages; page++) this.#give(page, 1);
    } else {
      state.regs.refusedPages++;
      log.guest(this.#virtio.name, 'a page for the balloon that is no memory', { page: first });
    }
  }

  /** Of pages, whole ones, inside one slot. */
  #giveBack(address: number, lengthBytes: number): void {
    const refusal = giveBack(this.#virtio.memory, gpa(address), lengthBytes);
    if (refusal === undefined || this.#isTroubleTold) return;
    this.#isTroubleTold = true;
    this.#virtio.main?.onTrouble(`the host does not take back what the guest gives up: ${refusal}`);
  }

  #deflate(): boolean {
    const queue = this.#virtio.queue(DEFLATEQ);
    let left = CHAINS_AT_ONCE;
    for (; left > 0 && queue.pop(this.#chain); left--) queue.push(this.#chain.head, 0);
    this.#virtio.notifyUsed(queue);
    return left === 0;
  }

  /** §5.5.6.3: the driver has one buffer here; of several the last is kept. */
  #takeStatistics(): boolean {
    const queue = this.#virtio.queue(STATSQ);
    let left = CHAINS_AT_ONCE;
    for (; left > 0 && queue.pop(this.#chain); left--) {
      if (this.#statisticsHead !== undefined) queue.push(this.#statisticsHead, 0);
      this.#statisticsHead = this.#chain.head;
      const bytes = new Uint8Array(MAX_STATISTICS_BYTES);
      const length = new ChainReader(this.#chain, this.#virtio.memory).read(bytes);
      this.#statistics = readStatistics(bytes.subarray(0, length));
      this.#tellStatistics();
    }
    this.#virtio.notifyUsed(queue);
    return left === 0;
  }

  #answered(): Promise<void> {
    return new Promise((resolve) => {
      const tell = (): void => {
        clearTimeout(timer);
        this.#onStatistics.delete(tell);
        resolve();
      };
      const timer = setTimeout(tell, STATISTICS_MS);
      this.#onStatistics.add(tell);
    });
  }

  #tellStatistics(): void {
    for (const tell of [...this.#onStatistics]) tell();
  }

  /** §5.5.6.7: the buffers are the free pages. */
  #takeReports(index: number): boolean {
    if (!this.#virtio.hasFeature(VIRTIO_BALLOON_F_REPORTING)) return false;
    if (this.#reporting !== undefined && this.#reporting !== index) return true; // one after the other
    const queue = this.#virtio.queue(index);
    let left = REPORTED_AT_ONCE;
    let chains = CHAINS_AT_ONCE;
    while (left > 0 && chains > 0) {
      if (this.#reporting === undefined) {
        if (!queue.pop(this.#reportChain)) break;
        this.#reporting = index;
        this.#segment = this.#reportChain.readable;
        this.#offset = 0;
      }
      left -= this.#giveReported(left);
      if (this.#segment < this.#reportChain.segments) continue;
      this.#endReport(index);
      chains--;
    }
    this.#virtio.notifyUsed(queue);
    return left <= 0 || chains === 0;
  }

  /** Whole pages of the present segment, about `limit` bytes. Returns how many they count for. */
  #giveReported(limit: number): number {
    const { segments, gpa: address, length } = this.#reportChain;
    if (this.#segment >= segments) return LEAST_REPORTED;
    const start = address[this.#segment] ?? 0;
    const first = Math.ceil((start + this.#offset) / PAGE_BYTES);
    const end = Math.floor((start + (length[this.#segment] ?? 0)) / PAGE_BYTES);
    const pages = Math.max(0, Math.min(end - first, Math.ceil(limit / PAGE_BYTES)));
    if (pages > 0) {
      this.#virtio.state.regs.reportedPages += pages;
      this.#giveBack(first * PAGE_BYTES, pages * PAGE_BYTES);
    }
    if (first + pages >= end) {
      this.#segment++;
      this.#offset = 0;
    } else {
      this.#offset = (first + pages) * PAGE_BYTES - start;
    }
    return Math.max(pages * PAGE_BYTES, LEAST_REPORTED);
  }

  #endReport(index: number): void {
    this.#reporting = undefined;
    this.#virtio.queue(index).push(this.#reportChain.head, 0);
  }
}
