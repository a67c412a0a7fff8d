/** Main's side of a shared folder: opens it, for the I/O thread to own. */
import type { Backend } from '../../../backends/backend.ts';
import { closeShare, type OpenedShare, openShare } from '../../../backends/share/openShare.ts';
import type { ShareConfig } from '../../../config/settings/shares.ts';

export class NinepBackend implements Backend {
  readonly #share: OpenedShare;
  #isGiven = false;

  /** Throws UserError. */
  constructor(config: ShareConfig) {
    this.#share = openShare(config);
  }

  /** Who asks owns it from then on. */
  get opened(): OpenedShare {
    this.#isGiven = true;
    return this.#share;
  }

  onEvent(): void {}

  close(): void {
    if (!this.#isGiven) closeShare(this.#share);
  }
}
