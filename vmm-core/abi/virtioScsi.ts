/** Virtio SCSI hosts, as <linux/virtio_scsi.h> spells them. Virtio 1.2 §5.6. */
import { struct, u16, u32 } from './struct.ts';

export const VIRTIO_SCSI_CDB_DEFAULT_SIZE = 32;
export const VIRTIO_SCSI_SENSE_DEFAULT_SIZE = 96;

/** §5.6.4. */
export const VirtioScsiConfig = struct('virtio_scsi_config', 36, {
  num_queues: u32(0), // of requests
  seg_max: u32(4),
  max_sectors: u32(8), // of 512 bytes
  cmd_per_lun: u32(12),
  event_info_size: u32(16),
  sense_size: u32(20), // RW
  cdb_size: u32(24), // RW
  max_channel: u16(28),
  max_target: u16(30),
  max_lun: u32(32),
});

// §5.6.6.1: lun[8] tag[8] task_attr prio crn cdb[cdb_size], then data; sense_len[4] resid[4]
// status_qualifier[2] status response sense[sense_size], then data.
export const VIRTIO_SCSI_CMD_REQ_CDB = 19;
export const VIRTIO_SCSI_CMD_RESP_RESID = 4;
export const VIRTIO_SCSI_CMD_RESP_STATUS = 10;
export const VIRTIO_SCSI_CMD_RESP_RESPONSE = 11;
export const VIRTIO_SCSI_CMD_RESP_SENSE = 12;

// §5.6.6.2: type[4] subtype[4] lun[8] tag[8], and a byte of response.
export const VIRTIO_SCSI_CTRL_TMF_REQ_LUN = 8;
export const VIRTIO_SCSI_CTRL_TMF_REQ_BYTES = 24;
// type[4] lun[8] event_requested[4], and event_actual[4] response.
export const VIRTIO_SCSI_CTRL_AN_REQ_LUN = 4;
export const VIRTIO_SCSI_CTRL_AN_REQ_BYTES = 16;
export const VIRTIO_SCSI_CTRL_AN_RESP_BYTES = 5;

export const VIRTIO_SCSI_S_OK = 0;
export const VIRTIO_SCSI_S_OVERRUN = 1;
export const VIRTIO_SCSI_S_BAD_TARGET = 3;
export const VIRTIO_SCSI_S_FUNCTION_REJECTED = 11;
export const VIRTIO_SCSI_S_INCORRECT_LUN = 12;

export const VIRTIO_SCSI_T_TMF = 0;
export const VIRTIO_SCSI_T_AN_QUERY = 1;
export const VIRTIO_SCSI_T_AN_SUBSCRIBE = 2;
export const VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET = 4;
export const VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET = 5;
export const VIRTIO_SCSI_T_TMF_QUERY_TASK_SET = 7;
