/** SCSI, as SPC-4, SBC-3 and MMC-6 have it, in the spelling of Linux's <scsi/scsi.h>. */

// Operation codes.
export const TEST_UNIT_READY = 0x00;
export const REQUEST_SENSE = 0x03;
export const READ_6 = 0x08;
export const INQUIRY = 0x12;
export const MODE_SENSE = 0x1a;
export const START_STOP = 0x1b;
export const ALLOW_MEDIUM_REMOVAL = 0x1e;
export const READ_CAPACITY = 0x25;
export const READ_10 = 0x28;
export const VERIFY = 0x2f;
export const READ_TOC = 0x43;
export const MODE_SENSE_10 = 0x5a;
// Of MMC-6 and SPC-4, which that header does not have.
export const GPCMD_GET_CONFIGURATION = 0x46;
export const GPCMD_GET_EVENT_STATUS_NOTIFICATION = 0x4a;
export const GPCMD_READ_DISC_INFO = 0x51;
export const READ_16 = 0x88;
export const SERVICE_ACTION_IN_16 = 0x9e;
export const SAI_READ_CAPACITY_16 = 0x10;
export const REPORT_LUNS = 0xa0;
export const READ_12 = 0xa8;

// Status codes.
export const SAM_STAT_GOOD = 0x00;
export const SAM_STAT_CHECK_CONDITION = 0x02;

// Sense keys.
export const NO_SENSE = 0x00;
export const NOT_READY = 0x02;
export const MEDIUM_ERROR = 0x03;
export const ILLEGAL_REQUEST = 0x05;
export const UNIT_ATTENTION = 0x06;

/** Additional sense codes with their qualifiers in the low byte, SPC-4 table 56. */
export const ASC = {
  NONE: 0x0000,
  UNRECOVERED_READ_ERROR: 0x1100,
  INVALID_COMMAND_OPERATION_CODE: 0x2000,
  LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE: 0x2100,
  INVALID_FIELD_IN_CDB: 0x2400,
  LOGICAL_UNIT_NOT_SUPPORTED: 0x2500,
  NOT_READY_TO_READY_CHANGE: 0x2800,
  POWER_ON_OR_RESET: 0x2900,
  MEDIUM_NOT_PRESENT: 0x3a00,
  MEDIUM_REMOVAL_PREVENTED: 0x5302,
} as const;

/** Fixed format sense data, SPC-4 §4.5.3. */
export const SENSE_BYTES = 18;
export const SENSE_CURRENT = 0x70;
export const SENSE_KEY = 2;
export const SENSE_ADDITIONAL_LENGTH = 7;
export const SENSE_ASC = 12;
export const SENSE_ASCQ = 13;

/** INQUIRY: the peripheral device type of CD-ROM and DVD drives. */
export const TYPE_ROM = 0x05;
/** Its qualifier and type where no unit is, SPC-4 table 141. */
export const NO_LOGICAL_UNIT = 0x7f;
