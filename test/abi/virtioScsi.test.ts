import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as scsi from '../../vmm-core/abi/scsi.ts';
import * as virtioScsi from '../../vmm-core/abi/virtioScsi.ts';
import {
  ask,
  type Claim,
  contradictions,
  isStruct,
  macroClaim,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

/** What the header says by the layout of a struct. */
const BY_LAYOUT: Readonly<Record<string, string>> = {
  VIRTIO_SCSI_CMD_REQ_CDB: 'offsetof(struct virtio_scsi_cmd_req, cdb)',
  VIRTIO_SCSI_CMD_RESP_RESID: 'offsetof(struct virtio_scsi_cmd_resp, resid)',
  VIRTIO_SCSI_CMD_RESP_STATUS: 'offsetof(struct virtio_scsi_cmd_resp, status)',
  VIRTIO_SCSI_CMD_RESP_RESPONSE: 'offsetof(struct virtio_scsi_cmd_resp, response)',
  VIRTIO_SCSI_CMD_RESP_SENSE: 'offsetof(struct virtio_scsi_cmd_resp, sense)',
  VIRTIO_SCSI_CTRL_TMF_REQ_LUN: 'offsetof(struct virtio_scsi_ctrl_tmf_req, lun)',
  VIRTIO_SCSI_CTRL_TMF_REQ_BYTES: 'sizeof(struct virtio_scsi_ctrl_tmf_req)',
  VIRTIO_SCSI_CTRL_AN_REQ_LUN: 'offsetof(struct virtio_scsi_ctrl_an_req, lun)',
  VIRTIO_SCSI_CTRL_AN_REQ_BYTES: 'sizeof(struct virtio_scsi_ctrl_an_req)',
  VIRTIO_SCSI_CTRL_AN_RESP_BYTES: 'sizeof(struct virtio_scsi_ctrl_an_resp)',
};

test('virtio SCSI hosts are as <linux/virtio_scsi.h> says', async (t) => {
  const headers = ['linux/virtio_scsi.h'];
  const unavailable = await oracleUnavailable(headers);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims: Claim[] = Object.entries(virtioScsi).flatMap(([name, value]) => {
    if (isStruct(value)) return structClaims(value);
    const expression = BY_LAYOUT[name];
    return [expression === undefined ? macroClaim(name, value) : { name, value: BigInt(value), expression }];
  });
  const answers = await ask(headers, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
});

/** In the standards only: this header of the C library is older than they are. */
const NEWER = new Set([
  ...['SENSE_BYTES', 'SENSE_CURRENT', 'SENSE_KEY', 'SENSE_ADDITIONAL_LENGTH', 'SENSE_ASC', 'SENSE_ASCQ'],
  ...['NO_LOGICAL_UNIT', 'REPORT_LUNS', 'READ_16', 'SERVICE_ACTION_IN_16', 'SAI_READ_CAPACITY_16'],
  ...['GPCMD_GET_CONFIGURATION', 'GPCMD_GET_EVENT_STATUS_NOTIFICATION', 'GPCMD_READ_DISC_INFO'],
  ...['SAM_STAT_GOOD', 'SAM_STAT_CHECK_CONDITION'],
]);

test('SCSI is as <scsi/scsi.h> says, and its codes of CD-ROM drives as <linux/cdrom.h> does', async (t) => {
  const headers = ['scsi/scsi.h', 'linux/cdrom.h'];
  const unavailable = await oracleUnavailable(headers);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = Object.entries(scsi).flatMap(([name, value]) =>
    typeof value === 'number' ? [macroClaim(name, value)] : [],
  );
  const answers = await ask(headers, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(
    unknownToHeaders(claims, answers).filter((name) => !NEWER.has(name)),
    [],
  );
});
