/** What vm.conf can say and this VMM cannot do yet. Shrinks as the machine grows. */
import { directive, type DirectiveId } from './directives.ts';
import type { DirectiveNode } from './syntaxTree.ts';

/** In the order they are told; directives in one row stand for each other, as when an instance inherits them. */
export const UNSUPPORTED: readonly (readonly DirectiveId[])[] = [
  ['disk'],
  ['cdrom'],
  ['firmware'],
  ['bootDevice'],
  ['interface', 'localInterface', 'networkUser'],
  ['interfaces'],
  ['vsock'],
  ['gdbSocket'],
  ['sev', 'seves'],
  ['serial'],
];

const WORDS: ReadonlyMap<DirectiveId, string> = new Map(
  UNSUPPORTED.flat().map((id) => [id, directive(id).words.join(' ')]),
);

/** In words; undefined when the directive is done. */
export function unsupportedPart({ id, args }: DirectiveNode): string | undefined {
  const words = WORDS.get(id);
  if (words === undefined) return undefined;
  switch (id) {
    case 'interface':
    case 'localInterface':
    case 'networkUser':
      return 'network interfaces';
    case 'interfaces':
      return Number(args['count']?.text) === 0 ? undefined : 'network interfaces';
    case 'serial': {
      const target = args['target']?.text;
      return target === 'pty' || target === 'unix' ? `serial ${target}` : undefined;
    }
    case 'vsock':
      return 'vsock'; // and not its "cid"
    default:
      return words;
  }
}

/** Said by whoever should run the VM, and before that where it is written. */
export function unsupportedSentence(vm: string, parts: readonly string[]): string {
  return `VM "${vm}" asks for what this VMM cannot do yet: ${parts.join(', ')}`;
}
