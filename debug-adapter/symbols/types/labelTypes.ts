/**
 * Types of symbols that no debug information describes, such as assembler labels: they have only an address.
 */
import type { Type } from './type.ts';

export const TEXT_LABEL: Type = {
  kind: 'unknown',
  name: 'text variable, no debug info',
  sizeBytes: undefined,
};
export const DATA_LABEL: Type = {
  kind: 'unknown',
  name: 'data variable, no debug info',
  sizeBytes: undefined,
};

export function isLabel(type: Type): boolean {
  return type === TEXT_LABEL || type === DATA_LABEL;
}
