/** What one client wrote, for the others to know. */
import { NotificationType } from 'vscode-jsonrpc';
import type { MemoryParams } from './memory.ts';

/** What a client wrote. */
export type Change =
  | { readonly kind: 'registers'; readonly cpu: number; readonly names: readonly string[] }
  | (MemoryParams & { readonly kind: 'memory'; readonly lengthBytes: number });

/** To all clients but the one that wrote: what they have read before may be out of date. */
export const changed = new NotificationType<Change>('debug/changed');
