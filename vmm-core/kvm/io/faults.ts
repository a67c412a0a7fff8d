/**
 * The seam between I/O and the kernel: a test that stands here sees every transfer and sync that this thread
 * asks for, of files and of sockets, may fail it or cut it short, and may keep what was written. Nobody
 * stands here in the product, and then it costs one test of a variable.
 */
export type IoCall = FileCall | NetCall;
type FileCall = 'read' | 'write' | 'sync' | 'fallocate' | 'truncate' | 'submit';
/** `send`, `receive`: of taps too. */
type NetCall = 'socket' | 'bind' | 'connect' | 'listen' | 'accept' | 'send' | 'sendTo' | 'receive';

/** What the kernel is asked for. Requests of an engine go in parallel: `after` tells when one is over. */
export interface IoRequest {
  readonly call: IoCall;
  readonly fd: number;
  /** Of the file, 0 of what is none; of truncate the new length. */
  readonly offset: number;
  readonly lengthBytes: number;
  /** Of fallocate: FALLOC_FL_… */
  readonly mode?: number;
  /** A copy of what a write writes, or was to write. */
  readonly bytes?: () => Uint8Array;
}

/** What happens instead: an error, or a transfer of that many bytes. */
export type Fault = { readonly errno: number } | { readonly shortBytes: number };

export interface IoFaults {
  /** Undefined: the kernel is asked. */
  before(request: IoRequest): Fault | undefined;
  /** `result` as the kernel gives it: bytes, 0, or -errno. */
  after(request: IoRequest, result: number): void;
}

let standing: IoFaults | undefined;

/** Of this thread. Undefined: nobody any more. */
export function injectFaults(faults: IoFaults | undefined): void {
  standing = faults;
}

/** For whoever asks the kernel. */
export function injectedFaults(): IoFaults | undefined {
  return standing;
}

/** A call that is over when it returns. `perform` is given how many bytes of it are to be done. */
export function underFaults(
  faults: IoFaults,
  request: IoRequest,
  perform: (lengthBytes: number) => number,
): number {
  const fault = faults.before(request);
  const result =
    fault !== undefined && 'errno' in fault
      ? -fault.errno
      : perform(Math.min(request.lengthBytes, fault?.shortBytes ?? request.lengthBytes));
  faults.after(request, result);
  return result;
}
