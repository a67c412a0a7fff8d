/** The XSAVE area in its standard format, which KVM_GET_XSAVE uses too. SDM volume 1 §13.4. Values only. */
import { struct, u16, u32, u64, u8 } from './struct.ts';

/** The legacy region (FXSAVE64's) and the header. */
export const XsaveArea = struct('XSAVE area', 576, {
  fcw: u16(0),
  fsw: u16(2),
  ftw: u8(4), // abridged: one bit for each register
  fop: u16(6),
  fip: u64(8),
  fdp: u64(16),
  mxcsr: u32(24),
  mxcsr_mask: u32(28),
  xstate_bv: u64(512), // components that are not in their initial state
  xcomp_bv: u64(520),
});

/** ST0..ST7 (10 bytes of 16), XMM0..XMM15 and the upper halves of YMM0..YMM15: 16 bytes apart each. */
export const XSAVE_ST = 32;
export const XSAVE_XMM = 160;
export const XSAVE_YMM_HIGH = 576;

export const XFEATURE_MASK_FP = 1n << 0n; // bits of XCR0 and of xstate_bv
export const XFEATURE_MASK_SSE = 1n << 1n;
export const XFEATURE_MASK_YMM = 1n << 2n;
