/** What happened to segments and connections, for the inspector. */
export class TcpCounters {
  opened = 0;
  /** By the peer, or may not be. */
  refused = 0;
  /** No way leads to the peer, or a firewall stands in it. */
  unreachable = 0;
  /** Found no room: too many connections, or half-open ones, or descriptors. */
  noRoom = 0;
  /** Broken off by a side. */
  resets = 0;
  /** The guest, or the peer of a new connection, has not answered. */
  timeouts = 0;
  malformed = 0;
  badChecksum = 0;
  /** Out of the window, or with an acknowledgement of what was never sent. */
  unacceptable = 0;
}
