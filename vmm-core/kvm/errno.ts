/** The libc errno values we tell apart, <asm-generic/errno-base.h> and <asm-generic/errno.h>. */
export const EPERM = 1;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EAGAIN = 11;
export const EACCES = 13;
export const EBUSY = 16;
export const EINVAL = 22;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const ENOSYS = 38;
export const ETIME = 62;
export const EOPNOTSUPP = 95;
export const ECANCELED = 125;
