/** What one client wrote, told to the others. */
import { NotificationType } from 'vscode-jsonrpc';
import type { MemoryParams } from './memory.ts';

/** What a client wrote. */
export type Change =
  | { readonly kind: 'registers'; readonly cpu: number; readonly names: readonly string[] }
  | (MemoryParams & { readonly kind: 'memory'; readonly lengthBytes: number });

/** To all clients except the writer: what they read before may be out of date. */
export const changed = new NotificationType<Change>('debug/changed');
