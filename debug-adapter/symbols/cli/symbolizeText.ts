/**
 * Makes sense of addresses in any text, above all a kernel's oops: `vfs_read+0x12/0x34` and bare addresses
 * get the source line they mean appended in parentheses. What cannot be resolved stays as it is.
 */
import { baseName } from '../base/sourcePath.ts';
import type { SymbolImage } from '../symbolImage.ts';

/** `name+0x12/0x34`, or a hexadecimal number of at least 5 digits with or without `0x`. */
const MENTION =
  /\b([A-Za-z_.$][\w.$]*)\+0x([0-9a-fA-F]+)(?:\/0x([0-9a-fA-F]+))?|\b(?:0x([0-9a-fA-F]{4,16})|([0-9a-fA-F]{8}|[0-9a-fA-F]{16}))\b/g;

export function symbolizeLine(image: SymbolImage, line: string): string {
  // Except for the instruction pointer itself, a backtrace shows return addresses: the call is on the line
  // before.
  const isReturnAddress = !/\b(?:RIP|EIP|pc)\b/.test(line);
  return line.replace(MENTION, (mention: string, ...groups: unknown[]) => {
    const [name, offset, size, prefixed, bare] = groups as (string | undefined)[];
    const rest = line.slice((groups.at(-2) as number) + mention.length);
    if (isOfOtherModule(image, rest)) return mention;
    const address =
      name === undefined
        ? BigInt(`0x${prefixed ?? bare ?? '0'}`)
        : addressOf(image, name, offset ?? '0', size);
    if (address === undefined) return mention;
    const isCall = isReturnAddress && name !== undefined && BigInt(`0x${offset ?? '0'}`) > 0n;
    const place = placeOf(image, isCall ? address - 1n : address, name === undefined);
    return place === undefined ? mention : `${mention} (${place})`;
  });
}

/** `ext4_iget+0x12/0x34 [ext4]`: the kernel says which module a function is in. */
function isOfOtherModule({ path }: SymbolImage, rest: string): boolean {
  const module = /^ \[([\w-]+)\]/.exec(rest)?.[1];
  if (module === undefined) return false;
  const own = baseName(path).replace(/\.ko(?:\.debug)?$/, '');
  return own.replaceAll('-', '_') !== module.replaceAll('-', '_');
}

/** A symbol may have several addresses: the one whose size is the one the kernel printed. */
function addressOf(
  image: SymbolImage,
  name: string,
  offset: string,
  size: string | undefined,
): bigint | undefined {
  const candidates = image
    .functionByName(name)
    .filter((one) => one.name === name || image.symbolAt(one.start)?.name === name);
  const wanted = size === undefined ? undefined : BigInt(`0x${size}`);
  const fitting =
    candidates.find(({ start }) => wanted !== undefined && sizeMatches(image, start, wanted)) ??
    candidates[0];
  return fitting && fitting.start + BigInt(`0x${offset}`);
}

/** kallsyms counts a symbol up to the next one, padding included. */
function sizeMatches(image: SymbolImage, start: bigint, size: bigint): boolean {
  const last = image.symbolAt(start + size - 32n);
  return last !== undefined && last.offset + 32n <= size && image.functionAt(start)?.start === start;
}

/**
 * `vfs_read at read_write.c:450, inlined into ksys_read at read_write.c:600`; the name only where the text
 * does not say it.
 */
function placeOf(image: SymbolImage, address: bigint, withName: boolean): string | undefined {
  const chain = image.inlineChainAt(address);
  const [first] = chain;
  if (first === undefined) return undefined;
  const parts = chain.map(({ function: name, file, line }, depth) => {
    const place = file === undefined ? undefined : `${shortPath(file)}:${line ?? 0}`;
    const named = withName || chain.length > 1;
    if (!named) return place ?? '';
    const lead = depth === 0 ? '' : 'inlined into ';
    return `${lead}${name}${place === undefined ? '' : ` at ${place}`}`;
  });
  const text = parts.join(', ');
  return text === '' ? undefined : text;
}

/** The last three parts of a path: enough to know the file, short enough for a line of text. */
function shortPath(path: string): string {
  const parts = path.split('/');
  return parts.length <= 3 ? path : `${parts.slice(-3, -1).join('/')}/${baseName(path)}`;
}
