/**
 * Readiness of many descriptors for one service (epoll(7)). Edge-triggered with EPOLLET: who is told takes
 * all there is, or remembers that there is more. Without it, it is told again until there is none. The I/O
 * engine waits for the set itself, so that an idle one wakes no thread. kvm/net/ has it.
 */
export interface Poller {
  /** `events`: EPOLL… ; `tag` comes back with `onReady`, from 0 to 2^32 - 1. Returns 0 or -errno. */
  add(fd: number, tag: number, events: number): number;
  change(fd: number, tag: number, events: number): number;
  /** Before the descriptor is closed. Nothing is told of it any more; its tag may be used again. */
  remove(fd: number): void;
}
