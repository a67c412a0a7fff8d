/** A mistake in what the user typed, or something the target cannot answer. The message is for the user. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
  /** Where in the expression, from 1, when a place can be named. */
  readonly column: number | undefined;

  constructor(message: string, column?: number) {
    super(message);
    this.column = column;
  }
}
