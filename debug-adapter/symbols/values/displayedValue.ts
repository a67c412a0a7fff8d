/**
 * Values as the debug adapter uses them, on top of values of the target, which know nothing about text and
 * rows.
 */
import { QueryError } from '../base/queryError.ts';
import { isLabel } from '../types/labelTypes.ts';
import { formatValue } from './formatValue.ts';
import { scalarBits } from './parseScalar.ts';
import type { TargetValue } from './targetValue.ts';
import type { Assignment, ChildCounts, NamedValue, Value } from './value.ts';
import { partCounts, partsOf } from './valueParts.ts';

/** Elements asked for at once when the caller sets no limit. */
const DEFAULT_COUNT = 1000;

export class DisplayedValue implements Value {
  readonly target: TargetValue;

  constructor(target: TargetValue) {
    this.target = target;
  }

  get typeName(): string {
    return this.target.typeName;
  }

  get isTyped(): boolean {
    return !isLabel(this.target.type);
  }

  get address(): bigint | undefined {
    return this.target.address;
  }

  get sizeBytes(): number | undefined {
    return this.target.sizeBytes;
  }

  get expression(): string {
    return this.target.expression;
  }

  childCounts(): Promise<ChildCounts> {
    return partCounts(this.target);
  }

  async children(start = 0, count = DEFAULT_COUNT): Promise<readonly NamedValue[]> {
    const parts = await partsOf(this.target, start, count);
    return parts.map(({ value, ...rest }) => ({
      ...rest,
      expression: value.expression,
      value: new DisplayedValue(value),
    }));
  }

  display(format?: string): Promise<string> {
    return formatValue(this.target, format);
  }

  async reference(): Promise<bigint | undefined> {
    if (this.target.bare.kind !== 'pointer') return this.address;
    try {
      return await this.target.unsigned();
    } catch (error) {
      if (error instanceof QueryError) return undefined;
      throw error;
    }
  }

  async assign(text: string): Promise<Assignment> {
    const { type, bits, world } = this.target;
    const language = world.isRust === true ? 'rust' : 'c';
    return this.target.assignBits(scalarBits(type, text, { language, bitSize: bits?.size }));
  }
}
