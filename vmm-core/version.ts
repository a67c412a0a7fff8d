/** Version of the package, put in by the build; `dev` when run from source. */
declare const __TRAPFRAME_VERSION__: string | undefined;

export function version(): string {
  return typeof __TRAPFRAME_VERSION__ === 'undefined' ? 'dev' : __TRAPFRAME_VERSION__;
}
