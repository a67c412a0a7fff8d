/** Main's side of a vsock device: makes the socket that programs connect to, and takes it away. */
import { closeSync } from 'node:fs';
import type { Backend } from '../../../backends/backend.ts';
import { ListenSocket, type VsockOpened, vsockPath } from '../../../backends/vsock/listenSocket.ts';
import type { VirtioBackendPort } from '../virtioClass.ts';
import type { VsockInstance, VsockState } from './vsockState.ts';

export class VsockBackend implements Backend {
  readonly #port: VirtioBackendPort<VsockState>;
  readonly #socket: ListenSocket;
  #isGiven = false;

  /** Throws UserError. */
  constructor({ vsock, vmName }: VsockInstance, port: VirtioBackendPort<VsockState>) {
    this.#port = port;
    this.#socket = new ListenSocket(vsockPath(vsock, vmName));
  }

  /** Who asks owns it from then on. */
  get opened(): VsockOpened {
    this.#isGiven = true;
    return this.#socket.opened;
  }

  onEvent(): void {}

  onMessage(message: unknown): void {
    this.#port.onTrouble(message as string); // VsockService tells nothing else
  }

  close(): void {
    if (!this.#isGiven) closeSync(this.#socket.opened.listenFd);
    this.#socket.remove();
  }
}
