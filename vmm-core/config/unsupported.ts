/** What vm.conf can say and this VMM cannot do yet. Shrinks as the machine grows. */
import type { DirectiveId } from './directives.ts';
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

const IDS: ReadonlySet<DirectiveId> = new Set(UNSUPPORTED.flat());

/** In words; undefined when the directive is done. */
export function unsupportedPart({ id, words, args }: DirectiveNode): string | undefined {
  if (!IDS.has(id)) return undefined;
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
      return words.map((it) => it.text).join(' ');
  }
}

/** Said by whoever should run the VM, and before that where it is written. */
export function unsupportedSentence(vm: string, parts: readonly string[]): string {
  return `VM "${vm}" asks for what this VMM cannot do yet: ${parts.join(', ')}`;
}
