/**
 * What a vm.conf is checked against besides itself: files and accounts. `vmm load` answers from the machine,
 * the language server from the editor's unsaved buffers first, tests from a table. All members but the first
 * two may be absent: then that check is skipped.
 */
export type DiskFormat = 'raw' | 'qcow2';

export interface ConfigHost {
  /** The absolute path of `path` as written in the file `from`. */
  readonly resolve: (path: string, from: string) => string;
  /** The text of a file, undefined when it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  /** Why it cannot, in words to follow a colon. */
  readonly whyUnreadable?: (path: string) => string | undefined;
  /** What is there: "a file", "a directory", "a FIFO", "a block device"; undefined when nothing is. */
  readonly kindOf?: (path: string) => string | undefined;
  /** By the file's signature; undefined when it cannot be read. */
  readonly diskFormat?: (path: string) => DiskFormat | undefined;
  /** Bytes of a regular file; undefined when there is none. */
  readonly sizeOf?: (path: string) => number | undefined;
  readonly userExists?: (name: string) => boolean;
  readonly groupExists?: (name: string) => boolean;
  readonly cpus?: number;
  readonly memoryBytes?: number;
}

/** A host with these files and nothing else; paths stay as written. */
export function hostOfTexts(texts: Readonly<Record<string, string>>): ConfigHost {
  return {
    resolve: (path) => path,
    readText: (path) => (Object.hasOwn(texts, path) ? texts[path] : undefined),
  };
}
