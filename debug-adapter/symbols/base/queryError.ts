/** Codes a caller may act on; the message is for the user. */
export type QueryErrorCode =
  /** Nothing here has the name. */
  | 'unknownName'
  /** The value to set has no place: a number, the result of a sum. */
  | 'notAssignable';

/** A mistake in what the user typed, or something the target cannot answer. The message is for the user. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
  /** Where in the expression, from 1, when a place can be named. */
  readonly column: number | undefined;
  readonly code: QueryErrorCode | undefined;

  constructor(message: string, column?: number, code?: QueryErrorCode) {
    super(message);
    this.column = column;
    this.code = code;
  }

  /** The same mistake, with its place in the expression. */
  at(column: number): QueryError {
    return new QueryError(this.message, column, this.code);
  }
}
