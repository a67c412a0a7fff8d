/** The qcow2 image format (QEMU's docs/interop/qcow2.txt). All numbers in an image are big-endian. */

// Header. Offsets in bytes; fields from `incompatible_features` on are in version 3 only.
export const QCOW2_MAGIC = 0x514649fb; // "QFI\xfb"
export const QCOW2_VERSION = 4; // u32, 2 or 3
export const QCOW2_BACKING_FILE_OFFSET = 8; // u64
export const QCOW2_BACKING_FILE_SIZE = 16; // u32, bytes of the name
export const QCOW2_CLUSTER_BITS = 20; // u32
export const QCOW2_SIZE = 24; // u64, bytes of the disk
export const QCOW2_CRYPT_METHOD = 32; // u32
export const QCOW2_L1_SIZE = 36; // u32, entries
export const QCOW2_L1_TABLE_OFFSET = 40; // u64
export const QCOW2_REFCOUNT_TABLE_OFFSET = 48; // u64
export const QCOW2_REFCOUNT_TABLE_CLUSTERS = 56; // u32
export const QCOW2_NB_SNAPSHOTS = 60; // u32
export const QCOW2_SNAPSHOTS_OFFSET = 64; // u64
export const QCOW2_V2_HEADER_BYTES = 72;
export const QCOW2_INCOMPATIBLE_FEATURES = 72; // u64
export const QCOW2_COMPATIBLE_FEATURES = 80; // u64
export const QCOW2_AUTOCLEAR_FEATURES = 88; // u64
export const QCOW2_REFCOUNT_ORDER = 96; // u32
export const QCOW2_HEADER_LENGTH = 100; // u32
export const QCOW2_V3_HEADER_BYTES = 104;
export const QCOW2_COMPRESSION_TYPE = 104; // u8, when header_length has room for it

// Feature bits, by number.
export const QCOW2_INCOMPAT_DIRTY_BITNR = 0;
export const QCOW2_INCOMPAT_CORRUPT_BITNR = 1;
export const QCOW2_INCOMPAT_DATA_FILE_BITNR = 2;
export const QCOW2_INCOMPAT_COMPRESSION_BITNR = 3;
export const QCOW2_INCOMPAT_EXTL2_BITNR = 4;
export const QCOW2_COMPAT_LAZY_REFCOUNTS_BITNR = 0;
export const QCOW2_AUTOCLEAR_BITMAPS_BITNR = 0;

export const QCOW2_CRYPT = { none: 0, aes: 1, luks: 2 } as const;
export const QCOW2_COMPRESSION = { zlib: 0, zstd: 1 } as const;

// Header extensions: u32 type, u32 length, data padded to 8 bytes.
export const QCOW2_EXT_END = 0;
export const QCOW2_EXT_BACKING_FORMAT = 0xe2792aca;
export const QCOW2_EXT_FEATURE_TABLE = 0x6803f857;
export const QCOW2_EXT_BITMAPS = 0x23852875;
export const QCOW2_EXT_CRYPTO_HEADER = 0x0537be77;
export const QCOW2_EXT_DATA_FILE = 0x44415441;
/** "Feature name table": u8 type (0: incompatible), u8 bit number, 46 bytes of name. */
export const QCOW2_FEATURE_NAME_BYTES = 48;

// Limits, as QEMU has them.
export const QCOW2_MIN_CLUSTER_BITS = 9;
export const QCOW2_MAX_CLUSTER_BITS = 21;
export const QCOW2_MAX_REFCOUNT_ORDER = 6;
export const QCOW2_MAX_REFTABLE_BYTES = 8 << 20;
export const QCOW2_MAX_L1_BYTES = 32 << 20;
export const QCOW2_MAX_SNAPSHOTS = 65536;
export const QCOW2_MAX_SNAPSHOT_TABLE_BYTES = 1024 * QCOW2_MAX_SNAPSHOTS;
export const QCOW2_MAX_BACKING_NAME_BYTES = 1023;
export const QCOW2_MAX_BITMAPS = 65535;

// Entries of L1, L2 and the refcount table: 8 bytes, here as two halves.
export const QCOW2_ENTRY_BYTES = 8;
export const QCOW_OFLAG_COPIED_HIGH = 0x80000000; // bit 63: the refcount is exactly one
export const QCOW_OFLAG_COMPRESSED_HIGH = 0x40000000; // bit 62, L2 only
export const QCOW_OFLAG_ZERO_LOW = 0x1; // bit 0, L2 of version 3 only
export const QCOW2_OFFSET_HIGH = 0x00ffffff; // bits 32 to 55
export const QCOW2_OFFSET_LOW = 0xfffffe00; // bits 9 to 31
export const QCOW2_COMPRESSED_SECTOR_BYTES = 512;

// Snapshot table entry: its fixed part, then extra data, id and name; padded to 8 bytes.
export const QCOW2_SNAPSHOT_L1_OFFSET = 0; // u64
export const QCOW2_SNAPSHOT_L1_SIZE = 8; // u32, entries
export const QCOW2_SNAPSHOT_ID_BYTES = 12; // u16
export const QCOW2_SNAPSHOT_NAME_BYTES = 14; // u16
export const QCOW2_SNAPSHOT_EXTRA_BYTES = 36; // u32
export const QCOW2_SNAPSHOT_FIXED_BYTES = 40;

// Bitmaps extension.
export const QCOW2_BITMAPS_NB = 0; // u32
export const QCOW2_BITMAPS_DIRECTORY_BYTES = 8; // u64
export const QCOW2_BITMAPS_DIRECTORY_OFFSET = 16; // u64
// Bitmap directory entry: its fixed part, then extra data and name; padded to 8 bytes.
export const QCOW2_BITMAP_TABLE_OFFSET = 0; // u64
export const QCOW2_BITMAP_TABLE_SIZE = 8; // u32, entries
export const QCOW2_BITMAP_NAME_BYTES = 18; // u16
export const QCOW2_BITMAP_EXTRA_BYTES = 20; // u32
export const QCOW2_BITMAP_FIXED_BYTES = 24;
