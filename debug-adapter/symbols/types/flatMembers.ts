/** The members of a structure as C looks them up: those of anonymous parts as if they were its own. */
import { type Member, type StructType, strip } from './type.ts';

/** A structure with more members than this, anonymous ones counted inside, is broken debug information. */
const MAX_MEMBERS = 100_000;
const MAX_DEPTH = 16;

const flattened = new WeakMap<StructType, readonly Member[]>();

/** Members with those of anonymous structures and unions in their place. */
export function flatMembers(struct: StructType): readonly Member[] {
  const before = flattened.get(struct);
  if (before !== undefined) return before;
  const found: Member[] = [];
  flatten(struct, 0, 0, found);
  // One that is only declared may be found later.
  if (!struct.incomplete) flattened.set(struct, found);
  return found;
}

function flatten(struct: StructType, offsetBytes: number, depth: number, found: Member[]): void {
  for (const member of struct.members) {
    if (found.length >= MAX_MEMBERS) return;
    const inner = strip(member.type);
    if (member.name === undefined && !member.isBase && inner.kind === 'struct' && depth < MAX_DEPTH) {
      flatten(inner, offsetBytes + member.offsetBytes, depth + 1, found);
    } else if (offsetBytes === 0) found.push(member);
    else {
      const { name, type, isBase, bits, virtualOffset } = member;
      found.push({
        ...{ name, type, isBase, virtualOffset },
        offsetBytes: member.offsetBytes + offsetBytes,
        bits: bits && { size: bits.size, offset: bits.offset + 8 * offsetBytes },
      });
    }
  }
}
