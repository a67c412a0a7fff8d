/**
 * Main's side of a link over passt (passt(1)): runs it, one for each interface, with a connection of its own,
 * so that it ends when we do. When it ends before, it is run again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { SOCK_STREAM } from '../../../abi/socket.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { errnoText, UserError } from '../../../errors.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { socketPair } from '../../../kvm/net/sockets.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { open as openStream } from './openStream.ts';
import type { StreamMessage, StreamOpened } from './streamLink.ts';

/** Throws UserError. `program`: for tests. */
export function open(config: NetworkConfig, host: LinkHost, program = 'passt'): LinkBackend {
  return config.socket === undefined ? new PasstBackend(host, program) : openStream(config);
}

/** Of the child: after stdin, stdout, stderr. */
const CHILD_FD = 3;
const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 4000;
/** One that ran so long begins anew with the short wait, and its end is told again. */
const LASTING_MS = 10_000;
/** Of what it says, for the sentence that tells of its end. */
const MAX_SAID = 300;

class PasstBackend implements LinkBackend {
  readonly opened: StreamOpened;
  readonly wiredTo = 'passt';
  readonly #host: LinkHost;
  readonly #program: string;
  readonly #firstFd: number;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = FIRST_DELAY_MS;
  #startedMs = 0;
  #isTold = false;
  #isClosed = false;

  constructor(host: LinkHost, program: string) {
    this.#host = host;
    this.#program = program;
    const fd = this.#start();
    if (fd === undefined)
      throw new UserError(
        `passt is not installed: "sudo apt install passt" does it, or use a network of kind "user"`,
      );
    this.#firstFd = fd;
    this.opened = { fd, program: 'passt' };
  }

  close(isAttached: boolean): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#child?.kill();
    if (!isAttached) closeFd(this.#firstFd);
  }

  /** Our end of its connection; undefined: it cannot be run. */
  #start(): number | undefined {
    const pair = socketPair(SOCK_STREAM);
    if (typeof pair === 'number') throw new UserError(`no socket can be made for passt: ${errnoText(-pair)}`);
    const [ours, theirs] = pair;
    const args = ['--foreground', '--quiet', '--fd', String(CHILD_FD), '--mtu', String(this.#host.mtu)];
    // Detached: a signal from the terminal is for us, who end it.
    const stdio = ['ignore', 'ignore', 'pipe', theirs] as const;
    const child = spawn(this.#program, args, { stdio: [...stdio], detached: true });
    closeFd(theirs);
    child.on('error', () => undefined); // it has no pid then
    if (child.pid === undefined) {
      closeFd(ours);
      return undefined;
    }
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-MAX_SAID)));
    child.once('close', (code, signal) => this.#onEnd(signal ?? `status ${code}`, lastLine(said)));
    this.#child = child;
    this.#startedMs = performance.now();
    return ours;
  }

  #onEnd(how: string, said: string): void {
    this.#child = undefined;
    if (this.#isClosed) return;
    if (performance.now() - this.#startedMs >= LASTING_MS) {
      this.#delayMs = FIRST_DELAY_MS;
      this.#isTold = false;
    }
    const why = said === '' ? how : `${how}: ${said}`;
    if (!this.#isTold)
      this.#host.trouble(
        `passt has ended (${why}): ${this.#host.name} has no link until it runs again, which is tried`,
      );
    this.#isTold = true;
    this.#startLater();
  }

  /** The host may have no descriptor left just now: that is no reason for the VM to end. */
  #tryStart(): number | undefined {
    try {
      return this.#start();
    } catch (error) {
      if (error instanceof UserError) return undefined;
      throw error;
    }
  }

  #startLater(): void {
    this.#timer = setTimeout(() => {
      const fd = this.#tryStart();
      if (fd === undefined) return this.#startLater();
      const message: StreamMessage = { fd };
      this.#host.send(message);
    }, this.#delayMs);
    this.#delayMs = Math.min(LAST_DELAY_MS, 2 * this.#delayMs);
  }
}

function lastLine(said: string): string {
  return said.trim().split('\n').at(-1) ?? '';
}
