/** What `vmm check --json` prints and the extension's host page shows. Stable. */
export interface HostCheck {
  /** Guests can run. */
  readonly usable: boolean;
  readonly findings: readonly Finding[];
}

export interface Finding {
  /** Stable, for scripts. */
  readonly id: string;
  readonly title: string;
  readonly status: 'ok' | 'warning' | 'missing';
  readonly detail: string;
  /** What to do about it; absent when all is well. */
  readonly cure?: string;
}
