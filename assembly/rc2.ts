/**
 * RC2 (RFC 2268) in CBC mode, decryption only: legacy PFX files, nearly always with 40 bits. Called by pfx.ts.
 *
 * Eight blocks at a time: row i of four v128 holds the 16-bit word R[i] of eight blocks. The mashing rounds index the
 * key with secret data, which cannot be avoided.
 */

/** RFC 2268 section 2: a permutation of 0 to 255 from the digits of pi. */
const PITABLE: u32 = <u32>memory.data<u8>([
  0xd9, 0x78, 0xf9, 0xc4, 0x19, 0xdd, 0xb5, 0xed, 0x28, 0xe9, 0xfd, 0x79, 0x4a, 0xa0, 0xd8, 0x9d,
  0xc6, 0x7e, 0x37, 0x83, 0x2b, 0x76, 0x53, 0x8e, 0x62, 0x4c, 0x64, 0x88, 0x44, 0x8b, 0xfb, 0xa2,
  0x17, 0x9a, 0x59, 0xf5, 0x87, 0xb3, 0x4f, 0x13, 0x61, 0x45, 0x6d, 0x8d, 0x09, 0x81, 0x7d, 0x32,
  0xbd, 0x8f, 0x40, 0xeb, 0x86, 0xb7, 0x7b, 0x0b, 0xf0, 0x95, 0x21, 0x22, 0x5c, 0x6b, 0x4e, 0x82,
  0x54, 0xd6, 0x65, 0x93, 0xce, 0x60, 0xb2, 0x1c, 0x73, 0x56, 0xc0, 0x14, 0xa7, 0x8c, 0xf1, 0xdc,
  0x12, 0x75, 0xca, 0x1f, 0x3b, 0xbe, 0xe4, 0xd1, 0x42, 0x3d, 0xd4, 0x30, 0xa3, 0x3c, 0xb6, 0x26,
  0x6f, 0xbf, 0x0e, 0xda, 0x46, 0x69, 0x07, 0x57, 0x27, 0xf2, 0x1d, 0x9b, 0xbc, 0x94, 0x43, 0x03,
  0xf8, 0x11, 0xc7, 0xf6, 0x90, 0xef, 0x3e, 0xe7, 0x06, 0xc3, 0xd5, 0x2f, 0xc8, 0x66, 0x1e, 0xd7,
  0x08, 0xe8, 0xea, 0xde, 0x80, 0x52, 0xee, 0xf7, 0x84, 0xaa, 0x72, 0xac, 0x35, 0x4d, 0x6a, 0x2a,
  0x96, 0x1a, 0xd2, 0x71, 0x5a, 0x15, 0x49, 0x74, 0x4b, 0x9f, 0xd0, 0x5e, 0x04, 0x18, 0xa4, 0xec,
  0xc2, 0xe0, 0x41, 0x6e, 0x0f, 0x51, 0xcb, 0xcc, 0x24, 0x91, 0xaf, 0x50, 0xa1, 0xf4, 0x70, 0x39,
  0x99, 0x7c, 0x3a, 0x85, 0x23, 0xb8, 0xb4, 0x7a, 0xfc, 0x02, 0x36, 0x5b, 0x25, 0x55, 0x97, 0x31,
  0x2d, 0x5d, 0xfa, 0x98, 0xe3, 0x8a, 0x92, 0xae, 0x05, 0xdf, 0x29, 0x10, 0x67, 0x6c, 0xba, 0xc9,
  0xd3, 0x00, 0xe6, 0xcf, 0xe1, 0x9e, 0xa8, 0x2c, 0x63, 0x16, 0x01, 0x3f, 0x58, 0xe2, 0x89, 0xa9,
  0x0d, 0x38, 0x34, 0x1b, 0xab, 0x33, 0xff, 0xb0, 0xbb, 0x48, 0x0c, 0x5f, 0xb9, 0xb1, 0xcd, 0x2e,
  0xc5, 0xf3, 0xdb, 0x47, 0xe5, 0xa5, 0x9c, 0x77, 0x0a, 0xa6, 0x20, 0x68, 0xfe, 0x7f, 0xc1, 0xad,
]);

/** Octets of room: the expanded key, then eight blocks of ciphertext, their IVs, and four rows. */
export const RC2_SIZE: u32 = 128 + 64 + 64 + 64;
const BLOCKS: u32 = 128;
const PREVIOUS: u32 = 192;
const ROWS: u32 = 256;

/** RFC 2268 section 2: 128 octets of key from `keyLen` octets, cut to `bits` effective bits. */
function expandKey(keyPtr: u32, keyLen: u32, bits: u32, toPtr: u32): void {
  memory.copy(toPtr, keyPtr, keyLen);
  for (let i = keyLen; i < 128; ++i) {
    store<u8>(toPtr + i, load<u8>(PITABLE + ((<u32>load<u8>(toPtr + i - 1) + load<u8>(toPtr + i - keyLen)) & 0xff)));
  }
  const octets = (bits + 7) >> 3;
  const mask: u32 = 0xff >> (8 * octets - bits);
  const cut = toPtr + 128 - octets;
  store<u8>(cut, load<u8>(PITABLE + (load<u8>(cut) & mask)));
  for (let i = <i32>(127 - octets); i >= 0; --i) {
    const at = toPtr + i;
    store<u8>(at, load<u8>(PITABLE + (load<u8>(at + 1) ^ load<u8>(at + octets))));
  }
}

/** Undoes a mixing step of one row, R[i]. */
// @ts-ignore: decorator
@inline
function unmix(row: v128, shift: i32, keyPtr: u32, one: v128, two: v128, three: v128): v128 {
  const turned = v128.or(i16x8.shr_u(row, shift), i16x8.shl(row, 16 - shift));
  const chosen = v128.or(v128.and(one, two), v128.andnot(three, one));
  return i16x8.sub(turned, i16x8.add(chosen, v128.load_splat<u16>(keyPtr)));
}

/** Undoes a mashing step: R[i] -= K[R[i - 1] & 63], in each of the eight blocks. */
function unmash(rowPtr: u32, beforePtr: u32, keyPtr: u32): void {
  for (let at: u32 = 0; at < 16; at += 2) {
    const index: u32 = load<u16>(beforePtr + at) & 63;
    store<u16>(rowPtr + at, load<u16>(rowPtr + at) - load<u16>(keyPtr + 2 * index));
  }
}

/** Decrypts the eight blocks in BLOCKS to themselves. */
function decrypt8(workPtr: u32): void {
  const blocks = workPtr + BLOCKS;
  const rows = workPtr + ROWS;
  for (let block: u32 = 0; block < 8; ++block) {
    for (let i: u32 = 0; i < 4; ++i) store<u16>(rows + i * 16 + block * 2, load<u16>(blocks + block * 8 + i * 2));
  }
  let r0 = v128.load(rows);
  let r1 = v128.load(rows, 16);
  let r2 = v128.load(rows, 32);
  let r3 = v128.load(rows, 48);
  let key = workPtr + 120;
  for (let round: u32 = 16; round > 0; --round) {
    // Section 4: five mixing rounds, mashing, six, mashing, five.
    if (round == 11 || round == 5) {
      v128.store(rows, r0);
      v128.store(rows, r1, 16);
      v128.store(rows, r2, 32);
      v128.store(rows, r3, 48);
      unmash(rows + 48, rows + 32, workPtr);
      unmash(rows + 32, rows + 16, workPtr);
      unmash(rows + 16, rows, workPtr);
      unmash(rows, rows + 48, workPtr);
      r0 = v128.load(rows);
      r1 = v128.load(rows, 16);
      r2 = v128.load(rows, 32);
      r3 = v128.load(rows, 48);
    }
    r3 = unmix(r3, 5, key + 6, r2, r1, r0);
    r2 = unmix(r2, 3, key + 4, r1, r0, r3);
    r1 = unmix(r1, 2, key + 2, r0, r3, r2);
    r0 = unmix(r0, 1, key, r3, r2, r1);
    key -= 8;
  }
  v128.store(rows, r0);
  v128.store(rows, r1, 16);
  v128.store(rows, r2, 32);
  v128.store(rows, r3, 48);
  for (let block: u32 = 0; block < 8; ++block) {
    for (let i: u32 = 0; i < 4; ++i) store<u16>(blocks + block * 8 + i * 2, load<u16>(rows + i * 16 + block * 2));
  }
}

/**
 * Decrypts whole blocks in CBC mode.
 * @param keyLen 1 to 128 octets
 * @param bits effective key bits, 1 to 1024
 * @param length a multiple of 8
 * @param outPtr may be `dataPtr`
 * @param workPtr room of RC2_SIZE
 */
export function decryptRc2(
  keyPtr: u32, keyLen: u32, bits: u32, ivPtr: u32, dataPtr: u32, length: u32, outPtr: u32, workPtr: u32,
): void {
  expandKey(keyPtr, keyLen, bits, workPtr);
  const blocks = workPtr + BLOCKS;
  const previous = workPtr + PREVIOUS;
  memory.copy(previous, ivPtr, 8);
  for (let at: u32 = 0; at < length; at += 64) {
    const octets = min<u32>(64, length - at);
    memory.copy(blocks, dataPtr + at, octets);
    memory.copy(previous + 8, blocks, 56);
    const last = load<u64>(blocks, 56);
    decrypt8(workPtr);
    for (let i: u32 = 0; i < octets; i += 8) {
      store<u64>(outPtr + at + i, load<u64>(blocks + i) ^ load<u64>(previous + i));
    }
    store<u64>(previous, last);
  }
}
