/** What happened to segments and connections, for the inspector. */
export class TcpCounters {
  opened = 0;
  /** Could not be reached, or may not be. */
  refused = 0;
  /** Found no room: too many connections, or half-open ones, or descriptors. */
  noRoom = 0;
  /** Broken off by a side. */
  resets = 0;
  timeouts = 0;
  malformed = 0;
  badChecksum = 0;
  /** Out of the window, or with an acknowledgement of what was never sent. */
  unacceptable = 0;
}
