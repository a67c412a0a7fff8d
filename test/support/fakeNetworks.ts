/** The network interfaces of FakeVmm: no frames, but all that a client asks of them. */
import type { MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import { type ForwardConfig, forwardsClash } from '../../vmm-core/config/settings/forwards.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import type { Decoded } from '../../vmm-core/protocol/devices.ts';
import {
  addNetworkForward,
  listNetworks,
  type NetworkSummary,
  removeNetworkForward,
  reportNetwork,
  setNetworkLink,
  startNetworkCapture,
  stopNetworkCapture,
} from '../../vmm-core/protocol/networks.ts';
import { refused } from './refused.ts';

interface FakeNetwork {
  readonly name: string;
  readonly kind: string;
  readonly lladdr: string;
  isUp: boolean;
  capture: string | undefined;
  forwards: readonly ForwardConfig[];
}

export class FakeNetworks {
  /** What each tells of itself. */
  report = ({ kind }: NetworkSummary): Decoded => ({ kind });
  #all: readonly FakeNetwork[] = [];

  /** `withVm` answers once there is a VM. */
  serve(connection: MessageConnection, withVm: <R>(handle: () => R) => R | ResponseError<void>): void {
    const change = (name: string, handle: (it: FakeNetwork) => unknown) =>
      withVm(() => void handle(this.#named(name)));
    connection.onRequest(listNetworks, () => withVm(() => this.#all.map(summaryOf)));
    connection.onRequest(setNetworkLink, ({ network, isUp }) => change(network, (it) => (it.isUp = isUp)));
    connection.onRequest(startNetworkCapture, ({ network, path }) =>
      change(network, (it) => {
        if (it.capture !== undefined) throw refused('User', `${network} is captured already`);
        it.capture = path;
      }),
    );
    connection.onRequest(stopNetworkCapture, ({ network }) =>
      withVm(() => {
        const it = this.#named(network);
        if (it.capture === undefined) throw refused('User', `${network} is not being captured`);
        const paths = [it.capture];
        it.capture = undefined;
        return { frames: 0, dropped: 0, paths };
      }),
    );
    connection.onRequest(addNetworkForward, ({ network, forward }) =>
      change(network, (it) => {
        if (it.kind !== 'user') throw refused('User', `${network} has no forwards`);
        if (it.forwards.some((at) => forwardsClash(at, forward))) throw refused('User', 'the port is busy');
        it.forwards = [...it.forwards, forward];
      }),
    );
    connection.onRequest(removeNetworkForward, ({ network, forward }) =>
      change(network, (it) => {
        const rest = it.forwards.filter((at) => JSON.stringify(at) !== JSON.stringify(forward));
        if (rest.length === it.forwards.length) throw refused('User', 'there is no such forward');
        it.forwards = rest;
      }),
    );
    connection.onRequest(reportNetwork, ({ network }) =>
      withVm(() => this.report(summaryOf(this.#named(network)))),
    );
  }

  /** A VM is there. */
  begin({ networks = [] }: VmConfig): void {
    this.#all = networks.map((it, i) => ({
      name: `net${i}`,
      kind: it.kind,
      lladdr: it.lladdr ?? `fe:e1:bb:d0:00:0${i}`,
      isUp: it.isDown !== true,
      capture: it.capture,
      forwards: it.forwards ?? [],
    }));
  }

  #named(name: string): FakeNetwork {
    const found = this.#all.find((it) => it.name === name);
    if (found === undefined) throw refused('User', `there is no network interface "${name}"`);
    return found;
  }
}

function summaryOf({ name, kind, lladdr, isUp, capture }: FakeNetwork): NetworkSummary {
  return { name, kind, lladdr, isUp, ...(capture === undefined ? {} : { capture }) };
}
