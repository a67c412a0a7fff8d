/** Main's side of a network interface: opens what it is wired to, and asks its service for clients. */
import type { Backend, CaptureOptions, CaptureSummary, NetworkInterface } from '../../../backends/backend.ts';
import type { LinkBackend, LinkCode } from '../../../backends/net/linkKind.ts';
import type { LinkReport } from '../../../backends/net/netLink.ts';
import type { ForwardConfig } from '../../../config/settings/networkOptions.ts';
import { UserError } from '../../../errors.ts';
import { CommandReplies } from '../commandReplies.ts';
import type { VirtioBackendPort } from '../virtioClass.ts';
import { configOf, DEFAULT_MTU, macBytes } from './netConfig.ts';
import { NetCapture } from './netCapture.ts';
import type { NetCommand, NetNews } from './netMessages.ts';
import type { NetInstance, NetState } from './netState.ts';

export class NetBackend implements Backend, NetworkInterface {
  readonly name: string;
  readonly kind: string;
  readonly lladdr: string;
  readonly #port: VirtioBackendPort<NetState>;
  readonly #link: LinkBackend;
  #isAttached = false;
  #isUp: boolean;
  readonly #reports = new CommandReplies<LinkReport>();
  readonly #capture: NetCapture;

  /** Throws UserError; then nothing is open. */
  constructor(instance: NetInstance, port: VirtioBackendPort<NetState>, open: LinkCode['open']) {
    const { network, name, index, vmName, lladdr, pairs } = instance;
    const mac = macBytes(lladdr);
    const mtu = network.mtu ?? DEFAULT_MTU;
    this.name = name;
    this.kind = network.kind;
    this.lladdr = lladdr;
    this.#capture = new NetCapture({
      ...{ name, mac, description: `${network.kind} network of ${vmName}` },
      send: (command) => this.#send(command),
      trouble: (sentence) => port.onTrouble(sentence),
    });
    this.#port = port;
    this.#isUp = network.isDown !== true;
    port.state.regs.powerOn.set(configOf({ mac, mtu, pairs, isUp: this.#isUp }));
    this.#link = open(network, {
      ...{ vmName, name, index, mac, mtu, pairs },
      send: (message) => this.#send({ kind: 'link', message }),
      trouble: (sentence) => port.onTrouble(sentence),
    });
    if (network.capture !== undefined) this.#captureFromTheStart(network.capture);
  }

  /** Throws UserError; then nothing is open. */
  #captureFromTheStart(path: string): void {
    try {
      this.#capture.start({ path });
    } catch (error) {
      this.#link.close(false);
      throw error;
    }
  }

  /** Who asks owns it from then on. */
  get opened(): unknown {
    this.#isAttached = true;
    return this.#link.opened;
  }

  get network(): NetworkInterface {
    return this;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** See NetworkInterface, as all that follows. */
  setUp(isUp: boolean): void {
    this.#isUp = isUp;
    this.#send({ kind: 'setUp', isUp });
  }

  get capture(): string | undefined {
    return this.#capture.path;
  }

  startCapture(options: CaptureOptions): Promise<void> {
    return new Promise((resolve) => resolve(this.#capture.start(options)));
  }

  stopCapture(): Promise<CaptureSummary> {
    return this.#capture.stop();
  }

  async addForward(forward: ForwardConfig): Promise<void> {
    if (this.#link.addForward === undefined) throw this.#noForwards();
    await this.#link.addForward(forward);
  }

  async removeForward(forward: ForwardConfig): Promise<void> {
    if (this.#link.removeForward === undefined) throw this.#noForwards();
    await this.#link.removeForward(forward);
  }

  report(): Promise<LinkReport> {
    return this.#reports.ask((id) => this.#send({ kind: 'report', id }));
  }

  onEvent(): void {}

  onMessage(message: unknown): void {
    const news = message as NetNews; // NetService tells nothing else
    switch (news.kind) {
      case 'report':
        return this.#reports.settle(news.id, news.report);
      case 'capture':
        return this.#capture.take(news.batch);
      case 'trouble':
        return this.#port.onTrouble(news.message);
      case 'link':
        return this.#link.onMessage?.(news.message);
    }
  }

  async ended(): Promise<void> {
    await this.#capture.ended();
  }

  close(): void {
    this.#link.close(this.#isAttached);
  }

  #noForwards(): UserError {
    return new UserError(`${this.name} is of kind "${this.kind}": only the kind "user" has forwards`);
  }

  #send(command: NetCommand): void {
    this.#port.send(command);
  }
}
