/** The libc errno values we tell apart, <asm-generic/errno-base.h>. */
export const EINTR = 4;
export const EAGAIN = 11;
