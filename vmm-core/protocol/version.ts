/** Checked by `initialize` at connect; a different number on the other side ends the connection. */
export const PROTOCOL_VERSION = 1;
