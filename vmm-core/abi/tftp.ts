// TFTP: RFC 1350, options of RFC 2347, 2348, 2349 and 7440.

export const TFTP_PORT = 69;

export const TFTP_RRQ = 1;
export const TFTP_WRQ = 2;
export const TFTP_DATA = 3;
export const TFTP_ACK = 4;
export const TFTP_ERROR = 5;
export const TFTP_OACK = 6;

export const TFTP_HEADER_BYTES = 4;
export const TFTP_DEFAULT_BLKSIZE = 512;
export const TFTP_MIN_BLKSIZE = 8;
export const TFTP_MAX_BLKSIZE = 65464;

// Error codes.
export const TFTP_UNDEFINED = 0;
export const TFTP_NOT_FOUND = 1;
export const TFTP_ACCESS = 2;
export const TFTP_ILLEGAL = 4;
