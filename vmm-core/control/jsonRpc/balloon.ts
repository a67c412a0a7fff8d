/** Requests of protocol/balloon.ts. */
import { balloonSetTarget, balloonStats } from '../../protocol/balloon.ts';
import type { Session } from '../session.ts';
import { fields, integer } from './decode.ts';
import type { RequestTable } from './table.ts';

export function serveBalloon(on: RequestTable, session: Session): void {
  on.request(balloonSetTarget, sizeParams, ({ sizeBytes }) => session.setBalloon(sizeBytes));
  on.request0(balloonStats, () => session.balloon());
}

function sizeParams(params: unknown): { readonly sizeBytes: number } {
  return { sizeBytes: integer(fields(params), 'sizeBytes') };
}
