/** Main's side of an interface's captures: one at a time, whose frames its service tells in batches. */
import { release, type } from 'node:os';
import type { CaptureOptions, CaptureSummary } from '../../../backends/backend.ts';
import type { CaptureBatch } from '../../../backends/net/capture/capture.ts';
import { CaptureFile } from '../../../backends/net/capture/captureFile.ts';
import { UserError } from '../../../errors.ts';
import type { NetCommand } from './netMessages.ts';

export interface NetCaptureHost {
  /** Of the interface. */
  readonly name: string;
  readonly mac: Uint8Array;
  readonly description: string;
  readonly send: (command: NetCommand) => void;
  readonly trouble: (sentence: string) => void;
}

interface Capture {
  readonly path: string;
  readonly file: CaptureFile;
}

/** One whose last batches are on their way. */
interface EndingCapture extends Capture {
  readonly resolve: (summary: CaptureSummary) => void;
}

export class NetCapture {
  readonly #host: NetCaptureHost;
  #capture: Capture | undefined;
  /** In the order they were stopped, as their ends come. */
  readonly #ending: EndingCapture[] = [];
  /** The file of the last one that was ended is whole. */
  #ended: Promise<unknown> = Promise.resolve();

  constructor(host: NetCaptureHost) {
    this.#host = host;
  }

  get path(): string | undefined {
    return this.#capture?.path;
  }

  /** Throws UserError. */
  start(options: CaptureOptions): void {
    const { name, mac, description, send, trouble } = this.#host;
    if (this.#capture !== undefined)
      throw new UserError(`${name} is captured to "${this.#capture.path}" already: stop that first`);
    const { path, snapBytes = 0, comment } = options;
    const origin = {
      hardware: 'virtual machine',
      os: `${type()} ${release()}`,
      application: 'trapframe',
      ...(comment === undefined ? {} : { comment }),
      ...{ interfaceName: name, description, mac, snapBytes },
    };
    const file = new CaptureFile(options, origin, {
      written: (batches) => send({ kind: 'captured', batches }),
      trouble: (sentence) => {
        trouble(`${name}: ${sentence}`);
        if (this.#capture?.file === file) void this.stop();
      },
    });
    this.#capture = { path, file };
    send({ kind: 'capture', settings: { snapBytes } });
  }

  /** Rejects with UserError. */
  stop(): Promise<CaptureSummary> {
    const capture = this.#capture;
    if (capture === undefined) return Promise.reject(new UserError(`${this.#host.name} is not captured`));
    this.#capture = undefined;
    return new Promise((resolve) => {
      this.#ending.push({ ...capture, resolve });
      this.#host.send({ kind: 'capture', settings: undefined });
    });
  }

  /**
   * What the service tells; undefined: that was the last of a capture, because it was stopped or because the
   * VM ends.
   */
  take(batch: CaptureBatch | undefined): void {
    const ending = this.#ending[0];
    const capture = ending ?? this.#capture;
    if (batch !== undefined) return capture?.file.add(batch);
    if (ending === undefined) this.#capture = undefined;
    else this.#ending.shift();
    this.#ended = Promise.all([this.#ended, capture?.file.end().then(ending?.resolve)]);
  }

  /** The service has closed: resolves when its frames are in their files. */
  async ended(): Promise<void> {
    await this.#ended;
  }
}
