/** Requests of protocol/networks.ts: network interfaces, watched and changed while the guest runs. */
import { isAbsolute } from 'node:path';
import type { NetworkInterface } from '../../backends/backend.ts';
import { forward as forwardKind } from '../../config/settings/forwards.ts';
import { UserError } from '../../errors.ts';
import {
  addNetworkForward,
  type CaptureParams,
  type ForwardParams,
  listNetworks,
  type NetworkSummary,
  removeNetworkForward,
  reportNetwork,
  setNetworkLink,
  startNetworkCapture,
  stopNetworkCapture,
} from '../../protocol/networks.ts';
import type { Session } from '../session.ts';
import { fields, type Fields, flag, integer, shown, text } from './decode.ts';
import type { RequestTable } from './table.ts';

/** An Ethernet header and an IPv4 header: less of a frame says nothing. */
const MIN_SNAP_BYTES = 34;
const MAX_SNAP_BYTES = 0x4_0000;
const MIN_ROTATE_BYTES = 0x1_0000;
const MAX_FILES = 1000;
const MAX_COMMENT = 1000;

export function serveNetworks(on: RequestTable, session: Session): void {
  on.request0(listNetworks, () => session.networks().map(summaryOf));
  on.request(setNetworkLink, linkParams, ({ network, isUp }) => session.network(network).setUp(isUp));
  on.request(startNetworkCapture, captureParams, ({ network, ...options }) =>
    session.network(network).startCapture(options),
  );
  on.request(stopNetworkCapture, networkParams, ({ network }) => session.network(network).stopCapture());
  on.request(addNetworkForward, forwardParams, ({ network, forward }) =>
    session.network(network).addForward(forward),
  );
  on.request(removeNetworkForward, forwardParams, ({ network, forward }) =>
    session.network(network).removeForward(forward),
  );
  on.request(reportNetwork, networkParams, ({ network }) => session.network(network).report());
}

function summaryOf({ name, kind, lladdr, isUp, capture }: NetworkInterface): NetworkSummary {
  return { name, kind, lladdr, isUp, ...(capture === undefined ? {} : { capture }) };
}

function networkParams(params: unknown): { readonly network: string } {
  return { network: text(fields(params), 'network') };
}

export function linkParams(params: unknown): { readonly network: string; readonly isUp: boolean } {
  const it = fields(params);
  if (it['isUp'] === undefined) throw new UserError('isUp must be true or false, not nothing');
  return { network: text(it, 'network'), isUp: flag(it, 'isUp') };
}

export function captureParams(params: unknown): CaptureParams {
  const it = fields(params);
  const { path, comment } = it;
  if (typeof path !== 'string' || !isAbsolute(path) || path.includes('\0'))
    throw new UserError(`path must be an absolute path, not ${shown(path)}`);
  if (comment !== undefined && (typeof comment !== 'string' || comment.length > MAX_COMMENT))
    throw new UserError(`comment must be a text of at most ${MAX_COMMENT} characters, not ${shown(comment)}`);
  const result = {
    network: text(it, 'network'),
    path,
    ...numberIn(it, 'snapBytes', MIN_SNAP_BYTES, MAX_SNAP_BYTES),
    ...numberIn(it, 'rotateBytes', MIN_ROTATE_BYTES, Number.MAX_SAFE_INTEGER),
    ...numberIn(it, 'files', 1, MAX_FILES),
    ...(comment === undefined ? {} : { comment }),
  };
  if (result.files !== undefined && result.rotateBytes === undefined)
    throw new UserError('files needs rotateBytes: after how many bytes another file begins');
  return result;
}

export function forwardParams(params: unknown): ForwardParams {
  const it = fields(params);
  const forward = forwardKind.check(it['forward'], (message, part = '') => {
    throw new UserError(`forward${part} ${message}`);
  });
  if (forward === undefined) throw new UserError('forward must be an object');
  if (forward.hostPath !== undefined && !isAbsolute(forward.hostPath))
    throw new UserError(`hostPath must be an absolute path, not ${shown(forward.hostPath)}`);
  return { network: text(it, 'network'), forward };
}

function numberIn<K extends string>(
  it: Fields,
  key: K,
  least: number,
  most: number,
): { readonly [N in K]?: number } {
  if (it[key] === undefined) return {};
  const value = integer(it, key);
  if (value < least || value > most)
    throw new UserError(`${key} must be a whole number from ${least} to ${most}, not ${value}`);
  return { [key]: value } as { readonly [N in K]?: number }; // the key is the type's
}
