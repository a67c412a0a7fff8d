/**
 * Virtqueues that the host's kernel serves, as <linux/vhost.h> and <linux/vhost_types.h> spell them. Values
 * only; test/abi compares them with the headers.
 */
import { s32, struct, u32, u64 } from './struct.ts';

export const VHOST_GET_FEATURES = 0x8008af00;
export const VHOST_SET_FEATURES = 0x4008af00;
export const VHOST_SET_OWNER = 0xaf01;
export const VHOST_SET_MEM_TABLE = 0x4008af03;
export const VHOST_SET_VRING_NUM = 0x4008af10;
export const VHOST_SET_VRING_ADDR = 0x4028af11;
export const VHOST_SET_VRING_BASE = 0x4008af12;
export const VHOST_GET_VRING_BASE = 0xc008af12;
export const VHOST_SET_VRING_KICK = 0x4008af20;
export const VHOST_SET_VRING_CALL = 0x4008af21;
export const VHOST_SET_VRING_ERR = 0x4008af22;
export const VHOST_NET_SET_BACKEND = 0x4008af30;

/** In place of a descriptor: none. */
export const VHOST_FILE_UNBIND = -1;

export const VhostVringState = struct('vhost_vring_state', 8, { index: u32(0), num: u32(4) });

export const VhostVringFile = struct('vhost_vring_file', 8, { index: u32(0), fd: s32(4) });

export const VhostVringAddr = struct('vhost_vring_addr', 40, {
  index: u32(0),
  flags: u32(4),
  desc_user_addr: u64(8),
  used_user_addr: u64(16),
  avail_user_addr: u64(24),
  log_guest_addr: u64(32),
});

/** Regions follow. */
export const VhostMemory = struct('vhost_memory', 8, { nregions: u32(0), padding: u32(4) });

export const VhostMemoryRegion = struct('vhost_memory_region', 32, {
  guest_phys_addr: u64(0),
  memory_size: u64(8),
  userspace_addr: u64(16),
  flags_padding: u64(24),
});
