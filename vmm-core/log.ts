/**
 * The log of a vmm-core process: JSON lines on stderr (stdout belongs to the guest's serial port and to
 * protocols). Written with writeSync to the descriptor, not through process.stderr: a vCPU worker sits in
 * KVM_RUN, so the event loop that would carry its process.stderr never turns. A line goes out in one write,
 * so lines of different threads do not mix.
 */
import { writeSync } from 'node:fs';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogValues = Readonly<Record<string, string | number | boolean>>;

/** log.guest(): lines per call site and window before it falls silent. */
export const GUEST_LINES = 10;
export const GUEST_WINDOW_MS = 5000;
/** Call sites remembered; messages built from guest data must not grow the table without bound. */
const MAX_SITES = 1000;
/** The key that all further sites share. */
const OTHER_SITES = '';

export interface LogOptions {
  readonly write?: (line: string) => void;
  readonly nowMs?: () => number;
  readonly level?: LogLevel;
}

interface Site {
  windowStartMs: number;
  lines: number;
  suppressed: number;
}

export class Log {
  readonly #write: (line: string) => void;
  readonly #nowMs: () => number;
  readonly #sites = new Map<string, Site>();
  #threshold: number;
  #thread = 'vm';

  constructor(options: LogOptions = {}) {
    this.#write = options.write ?? writeStderr;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#threshold = LOG_LEVELS.indexOf(options.level ?? 'info');
  }

  /** Once per thread, before the first line: `vm/alpine`, `vm/alpine/vcpu0`. */
  setThread(name: string): void {
    this.#thread = name;
  }

  setLevel(level: LogLevel): void {
    this.#threshold = LOG_LEVELS.indexOf(level);
  }

  get level(): LogLevel {
    return LOG_LEVELS[this.#threshold] ?? 'info';
  }

  isEnabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= this.#threshold;
  }

  error(tag: string, message: string, values?: LogValues): void {
    this.#line('error', tag, message, values);
  }

  warn(tag: string, message: string, values?: LogValues): void {
    this.#line('warn', tag, message, values);
  }

  info(tag: string, message: string, values?: LogValues): void {
    this.#line('info', tag, message, values);
  }

  debug(tag: string, message: string, values?: LogValues): void {
    this.#line('debug', tag, message, values);
  }

  /**
   * For lines that a guest can trigger at will: at most GUEST_LINES per call site in GUEST_WINDOW_MS. Tag
   * and message name the call site, so the message is a constant and what varies goes into `values`.
   */
  guest(tag: string, message: string, values?: LogValues, level: LogLevel = 'warn'): void {
    if (!this.isEnabled(level)) return;
    const now = this.#nowMs();
    const site = this.#site(`${tag}\0${message}`, now);
    if (now - site.windowStartMs >= GUEST_WINDOW_MS || now < site.windowStartMs) {
      site.windowStartMs = now;
      site.lines = 0;
    }
    if (site.lines >= GUEST_LINES) {
      site.suppressed++;
      return;
    }
    site.lines++;
    const { suppressed } = site;
    site.suppressed = 0;
    this.#line(level, tag, message, suppressed === 0 ? values : { ...values, suppressed });
  }

  #site(key: string, now: number): Site {
    const known = this.#sites.get(key);
    if (known !== undefined) return known;
    if (this.#sites.size >= MAX_SITES && key !== OTHER_SITES) return this.#site(OTHER_SITES, now);
    const site: Site = { windowStartMs: now, lines: 0, suppressed: 0 };
    this.#sites.set(key, site);
    return site;
  }

  #line(level: LogLevel, tag: string, message: string, values?: LogValues): void {
    if (!this.isEnabled(level)) return;
    const head = { time: new Date(this.#nowMs()).toISOString(), level, thread: this.#thread, tag, message };
    this.#write(`${JSON.stringify(values === undefined ? head : { ...head, values })}\n`);
  }
}

function writeStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // stderr is gone or full (EPIPE, EAGAIN on a pipe that is not read): a log line must not stop a guest.
  }
}

/** This thread's log. Each worker has its own: call setThread() and setLevel() at its start. */
export const log = new Log();
