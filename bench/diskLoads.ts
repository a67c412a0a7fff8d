/** What disks are loaded with, here and in the lab. */
export interface DiskWorkload {
  readonly title: string;
  readonly operation: 'read' | 'write';
  readonly bytes: number;
  readonly depth: number;
  readonly step: 'random' | 'next';
}

const PAGE = { bytes: 4096, step: 'random' } as const;
const MIB = { bytes: 1 << 20, depth: 4, step: 'next' } as const;

export const DISK_WORKLOADS: readonly DiskWorkload[] = [
  { title: '4 KiB random reads, 1 at a time', operation: 'read', depth: 1, ...PAGE },
  { title: '4 KiB random writes, 1 at a time', operation: 'write', depth: 1, ...PAGE },
  { title: '4 KiB random reads, 32 at a time', operation: 'read', depth: 32, ...PAGE },
  { title: '4 KiB random writes, 32 at a time', operation: 'write', depth: 32, ...PAGE },
  { title: '1 MiB reads in a row', operation: 'read', ...MIB },
  { title: '1 MiB writes in a row', operation: 'write', ...MIB },
];
