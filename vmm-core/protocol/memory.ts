/** Guest memory, by linear or physical address, and how one becomes the other. */
import { RequestType } from 'vscode-jsonrpc';
import type { Bytes } from './codec.ts';
import type { Hex } from './hex.ts';

export interface MemoryParams {
  /** Linear (through the page tables of `cpu`) unless `physical`. */
  readonly address: Hex;
  readonly physical?: boolean;
  /** Whose CR3; default 0. */
  readonly cpu?: number;
}

/**
 * Planted int3 bytes are hidden. Works while running too (with the current page tables). Shorter than asked
 * for at an unmapped page.
 */
export const readMemory = new RequestType<
  MemoryParams & { readonly lengthBytes: number },
  { readonly data: Bytes; readonly unreadableBytes: number },
  void
>('debug/readMemory');

/** All or nothing. Keeps planted int3 bytes armed over the new contents. */
export const writeMemory = new RequestType<
  MemoryParams & { readonly data: Bytes },
  { readonly writtenBytes: number },
  void
>('debug/writeMemory');

/** A walk of the page tables. `gpa` is absent when not mapped; `entries` from the top level down. */
export const translate = new RequestType<
  MemoryParams,
  {
    readonly gpa?: Hex;
    readonly pageBytes?: number;
    readonly writable?: boolean;
    readonly user?: boolean;
    readonly executable?: boolean;
    readonly entries: readonly { readonly level: number; readonly gpa: Hex; readonly value: Hex }[];
  },
  void
>('debug/translate');
