/**
 * Main's side of an I/O thread: starts it, commands it, and hears of its end. For the machine it is one more
 * back end, which becomes quiet, and goes on, for all devices that it serves. The only spawner of
 * io.worker.ts.
 */
import { join } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Backend } from '../backends/backend.ts';
import { prepareForBlockingThreads } from '../kvm/blockingThreads.ts';
import { signalEventFd } from '../kvm/libc.ts';
import type { IoAssignment, IoCommand, IoMessage } from './messages.ts';

const WORKER_FILE = 'io.worker.js';

export interface IoThreadEvents {
  onMessage(message: Exclude<IoMessage, { kind: 'quiet' | 'closed' }>): void;
  /** As asked for: its services are closed. */
  onEnd(): void;
  /** It died of a bug, or could not start. Nothing is served any more. */
  onCrash(error: Error): void;
}

export class IoThread implements Backend {
  readonly name: string;
  readonly #wakeFd: number;
  readonly #events: IoThreadEvents;
  readonly #commands: MessagePort;
  /** Until it is started. */
  #workersEnd: MessagePort | undefined;
  /** Who waits for it to be quiet, or closed. */
  readonly #waiting: (() => void)[] = [];
  #state: 'new' | 'serving' | 'closing' | 'over' = 'new';

  /** What is sent before `start` waits for that. `wakeFd` is of IoAssignment.ioWakeFds. */
  constructor(name: string, wakeFd: number, events: IoThreadEvents) {
    this.name = name;
    this.#wakeFd = wakeFd;
    this.#events = events;
    const { port1, port2 } = new MessageChannel();
    this.#commands = port1;
    this.#workersEnd = port2;
    port1.unref();
  }

  /** Once. `file`: of a test's own. */
  start(
    assignment: Omit<IoAssignment, 'threadName' | 'commands'>,
    file: string = join(import.meta.dirname, WORKER_FILE),
  ): void {
    const commands = this.#workersEnd;
    if (commands === undefined) throw new Error('the I/O thread has been started');
    this.#workersEnd = undefined;
    this.#state = 'serving';
    prepareForBlockingThreads();
    const workerData: IoAssignment = { ...assignment, threadName: this.name, commands };
    const worker = new Worker(file, {
      workerData,
      transferList: [commands],
      // Not piped to ours: it writes to the descriptor (log.ts).
      stdout: true,
      stderr: true,
      // A third is a semispace, which V8 rounds up to a power of two: 1 MB is its least, the next is 2.
      resourceLimits: { maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 64 },
    });
    worker.on('message', (message: IoMessage) => this.#receive(message));
    worker.on('error', (error) => this.#crash(error));
    worker.on('exit', (code) => this.#crash(new Error(`it ended with exit code ${code}`)));
  }

  get isStarted(): boolean {
    return this.#state !== 'new';
  }

  /** To the service of a device. */
  send(device: number, message: unknown): void {
    this.#command({ kind: 'send', device, message });
  }

  onEvent(): void {}

  /** Resolves at once when there is no thread, or none any more. */
  quiesce(): Promise<void> {
    return this.#commandAndWait({ kind: 'quiesce' });
  }

  resume(): void {
    if (this.#state === 'serving') this.#command({ kind: 'resume' });
  }

  /** Its services give up all they hold. Resolves when they have; the thread then ends. */
  shutDown(): Promise<void> {
    const closed = this.#commandAndWait({ kind: 'close' });
    if (this.#state === 'serving') this.#state = 'closing';
    return closed;
  }

  close(): void {
    void this.shutDown();
  }

  #command(command: IoCommand): void {
    this.#commands.postMessage(command);
    signalEventFd(this.#wakeFd);
  }

  #commandAndWait(command: IoCommand): Promise<void> {
    if (this.#state !== 'serving') return Promise.resolve();
    this.#command(command);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #receive(message: IoMessage): void {
    if (message.kind === 'closed') {
      this.#state = 'over';
      this.#events.onEnd();
    }
    if (message.kind === 'closed' || message.kind === 'quiet') this.#tellWaiting();
    else this.#events.onMessage(message);
  }

  #tellWaiting(): void {
    for (const tell of this.#waiting.splice(0)) tell();
  }

  #crash(error: Error): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#tellWaiting();
    this.#events.onCrash(error);
  }
}
