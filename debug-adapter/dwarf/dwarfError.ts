/**
 * The only errors this folder throws for what a file contains. They carry the section and the offset in it.
 */
export class DwarfError extends Error {
  override readonly name: string = 'DwarfError';
  /** `.debug_info` */
  readonly section: string;
  readonly offset: number;

  constructor(section: string, offset: number, message: string) {
    super(`${message} at ${section}+0x${offset.toString(16)}`);
    this.section = section;
    this.offset = offset;
  }
}

/**
 * The bytes ended before the value did. Readers over a window of a section (section.ts) try again with a
 * larger window.
 */
export class EndOfDataError extends DwarfError {
  override readonly name = 'EndOfDataError';

  constructor(section: string, offset: number) {
    super(section, offset, 'data ends in the middle of a value');
  }
}
