/**
 * The best engine that this host has: io_uring with rings in memory of our own, or mapped ones, or poll(2).
 * The first thread that asks tries them; others of the process are told (IoEngineKind is plain data).
 */
import type { IoEngine } from '../../bus/ioEngine.ts';
import { KvmError, UserError } from '../../errors.ts';
import type { RamSlot } from '../../memory/guestMemory.ts';
import { PollEngine } from './pollEngine.ts';
import { UringEngine } from './uringEngine.ts';

/** As TRAPFRAME_IO spells them, the best first. */
export const IO_ENGINES = ['uring', 'uring-mapped', 'poll'] as const;
export type IoEngineKind = (typeof IO_ENGINES)[number];

/** Names the one engine to use, for tests and for who measures. */
const IO_VARIABLE = 'TRAPFRAME_IO';

export interface IoEngineChoice {
  readonly kind: IoEngineKind;
  /** Why none of the better ones: what they say, the best first. */
  readonly refused: readonly { readonly kind: IoEngineKind; readonly error: Error }[];
}

let chosen: IoEngineChoice | undefined;

export function openIoEngine(kind: IoEngineKind, ram: readonly RamSlot[]): IoEngine {
  switch (kind) {
    case 'uring':
      return new UringEngine(ram, 'own');
    case 'uring-mapped':
      return new UringEngine(ram, 'mapped');
    case 'poll':
      return new PollEngine(ram);
  }
}

/** Tries once a process. Throws UserError when the variable names no engine, or one that does not work. */
export function chooseIoEngine(): IoEngineChoice {
  chosen ??= decideIoEngine(process.env[IO_VARIABLE]);
  return chosen;
}

/** `forced`: the variable's value. */
export function decideIoEngine(forced: string | undefined): IoEngineChoice {
  if (forced === undefined || forced === '') return tryInOrder(IO_ENGINES);
  const kind = IO_ENGINES.find((it) => it === forced);
  if (kind === undefined)
    throw new UserError(
      `${IO_VARIABLE}: "${forced}" is not an engine: give ${IO_ENGINES.join(', ')}, or unset it`,
    );
  const error = tryEngine(kind);
  if (error !== undefined)
    throw new UserError(`${IO_VARIABLE}: ${forced} does not work here (${error.message}): unset it`, {
      cause: error,
    });
  return { kind, refused: [] };
}

function tryInOrder(kinds: readonly IoEngineKind[]): IoEngineChoice {
  const refused: { kind: IoEngineKind; error: Error }[] = [];
  for (const kind of kinds) {
    const error = tryEngine(kind);
    if (error === undefined) return { kind, refused };
    refused.push({ kind, error });
  }
  throw new Error('poll(2) does not work'); // it is always there
}

function tryEngine(kind: IoEngineKind): Error | undefined {
  try {
    openIoEngine(kind, []).close();
    return undefined;
  } catch (error) {
    // mapFile throws what koffi throws where the runtime refuses foreign memory.
    if (error instanceof Error && (error instanceof KvmError || kind === 'uring-mapped')) return error;
    throw error;
  }
}
