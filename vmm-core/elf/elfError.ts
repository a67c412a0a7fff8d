/** The only error the ELF reader throws for what a file contains. The caller prefixes the file's name. */
export class ElfError extends Error {
  override readonly name = 'ElfError';
  /** Where in the file, when a place can be named. */
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(offset === undefined ? message : `${message} at file offset 0x${offset.toString(16)}`);
    this.offset = offset;
  }
}
