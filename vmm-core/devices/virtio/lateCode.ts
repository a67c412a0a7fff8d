/**
 * Code of a device class that is loaded only where a machine has the device (DeviceClass.load): on main, and
 * on the thread that serves it.
 */
export class LateCode<Code extends object> {
  readonly #owner: string;
  readonly #import: () => Promise<Code>;
  #code: Code | undefined;

  /** `owner`: of what, as in "block devices". What `load` imports has to be literal, for bundles. */
  constructor(owner: string, load: () => Promise<Code>) {
    this.#owner = owner;
    this.#import = load;
  }

  async load(): Promise<void> {
    this.#code = await this.#import();
  }

  get loaded(): Code {
    if (this.#code === undefined) throw new Error(`the code of ${this.#owner} has not been loaded`);
    return this.#code;
  }
}
