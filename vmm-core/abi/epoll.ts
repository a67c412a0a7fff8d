/** epoll(7), as <sys/epoll.h> spells it. */

export const EPOLL_CLOEXEC = 0o2000000;

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

export const EPOLLIN = 0x001;
export const EPOLLPRI = 0x002;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008; // always told, as EPOLLHUP
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000; // the peer sends no more
export const EPOLLONESHOT = 0x4000_0000;
export const EPOLLET = 0x8000_0000; // edge-triggered

/** struct epoll_event, packed on x86-64: offsets, for an array that is read by hand. */
export const EPOLL_EVENT = { events: 0, data: 4 } as const;
export const EPOLL_EVENT_BYTES = 12;
