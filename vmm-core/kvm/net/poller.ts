/** Where it was; goes away once nobody imports it from here. */
export type { Poller } from '../../bus/poller.ts';
