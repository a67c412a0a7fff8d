import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const collect = exposed() as () => void;

/** Frees what nothing refers to: memory that only the kernel knows of is unmapped. */
export function collectGarbage(): void {
  collect();
  collect(); // what the first has found dead by weak references only
}

/** The function exists in contexts that are made while the flag is set. */
function exposed(): unknown {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}
