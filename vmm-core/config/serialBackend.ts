/** Where the bytes of a UART go. */

/** `client`: to the clients attached through the control socket (a terminal in VS Code). */
export type SerialBackend =
  | { readonly kind: 'stdio' }
  | { readonly kind: 'client' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'null' };

export const COM_PORTS = ['com1', 'com2', 'com3', 'com4'] as const;

const FILE_PREFIX = 'file:';

/** From the form that users write. */
export function parseSerialBackend(form: string): SerialBackend | undefined {
  if (form === 'terminal' || form === 'client') return { kind: 'client' };
  if (form === 'null' || form === 'none') return { kind: 'null' };
  if (form === 'stdio') return { kind: 'stdio' };
  if (form.startsWith(FILE_PREFIX) && form.length > FILE_PREFIX.length)
    return { kind: 'file', path: form.slice(FILE_PREFIX.length) };
  return undefined;
}

/** In that form. */
export function serialForm(backend: SerialBackend): string {
  switch (backend.kind) {
    case 'client':
      return 'terminal';
    case 'file':
      return `${FILE_PREFIX}${backend.path}`;
    case 'stdio':
    case 'null':
      return backend.kind;
  }
}
