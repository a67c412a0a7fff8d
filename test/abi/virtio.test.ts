import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as config from '../../vmm-core/abi/virtioConfig.ts';
import * as ids from '../../vmm-core/abi/virtioIds.ts';
import * as mmio from '../../vmm-core/abi/virtioMmio.ts';
import * as pci from '../../vmm-core/abi/virtioPci.ts';
import * as ring from '../../vmm-core/abi/virtioRing.ts';
import { ask, type Claim, contradictions, oracleUnavailable, unknownToHeaders } from './headerOracle.ts';

const TABLES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'linux/virtio_config.h': config,
  'linux/virtio_ids.h': ids,
  'linux/virtio_mmio.h': mmio,
  'linux/virtio_pci.h': pci,
  'linux/virtio_ring.h': ring,
};

/** What the header says by the layout of a struct. */
const BY_LAYOUT: Readonly<Record<string, string>> = {
  VRING_DESC_BYTES: 'sizeof(struct vring_desc)',
  VRING_USED_ELEM_BYTES: 'sizeof(struct vring_used_elem)',
  VRING_HEADER_BYTES: 'offsetof(struct vring_avail, ring)',
  VIRTIO_PCI_CAP_PCI_CFG_DATA: 'offsetof(struct virtio_pci_cfg_cap, pci_cfg_data)',
};

/** In the text of the specification only. */
const IN_PROSE = new Set([
  'VIRTIO_MMIO_MAGIC',
  'VIRTIO_MMIO_BYTES',
  'VIRTIO_PCI_MODERN_ID',
  'VIRTIO_PCI_ISR_QUEUE',
  'VIRTIO_PCI_COMMON_BYTES',
  'PCI_VENDOR_ID_REDHAT_QUMRANET',
]);

/** Headers of some age lack a few of the names: those are not compared there. */
const NEWER = new Set([
  'VIRTIO_MMIO_QUEUE_RESET',
  'VIRTIO_PCI_COMMON_Q_NDATA',
  'VIRTIO_PCI_COMMON_Q_RESET',
  'VIRTIO_F_RING_RESET',
]);

function claimsOf(table: Readonly<Record<string, unknown>>): Claim[] {
  return Object.entries(table)
    .filter(([name]) => !IN_PROSE.has(name))
    .map(([name, value]) => {
      if (typeof value !== 'number') throw new Error(`${name} is not a number: teach this test`);
      const layout = BY_LAYOUT[name];
      if (layout !== undefined) return { name, value: BigInt(value), expression: layout };
      return { name, value: BigInt(value), expression: name, macro: name };
    });
}

for (const [header, table] of Object.entries(TABLES)) {
  test(`our table of virtio has the names and numbers of <${header}>`, async (t) => {
    const unavailable = await oracleUnavailable([header]);
    if (unavailable !== undefined) return t.skip(unavailable);
    const claims = claimsOf(table);
    const answers = await ask([header], claims);
    assert.deepEqual(contradictions(claims, answers), []);
    const unknown = unknownToHeaders(claims, answers);
    assert.deepEqual(
      unknown.filter((name) => !NEWER.has(name)),
      [],
    );
    t.diagnostic(`${claims.length} compared`);
  });
}
