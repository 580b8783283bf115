/**
 * AES (FIPS 197) with keys of 128, 192 and 256 bits in CBC mode, decryption only: PBES2 content of PFX files. Called
 * by pfx.ts. Bitsliced: no table, no branch and no address depends on key or data.
 *
 * Eight blocks at a time, in eight planes. Bit j of octet p of plane i is bit i of octet p of block j:
 *
 *   plane i   | octet 0 of 8 blocks | octet 1 of 8 blocks | …  16 octets, in the order of the state
 *
 * So a permutation of octets (ShiftRows, the turns in MixColumns) is one shuffle of each plane, and the S-box is a
 * circuit of some 130 gates between the planes for all 128 octets at once.
 */

/** Octets of room: 8 planes, eight blocks, their IVs, 15 round keys of 8 planes, and 60 words of key schedule. */
export const AES_SIZE: u32 = 128 + 128 + 128 + 15 * 128 + 240;
const BLOCKS: u32 = 128;
const PREVIOUS: u32 = 256;
const ROUND_KEYS: u32 = 384;
const WORDS: u32 = ROUND_KEYS + 15 * 128;

// @ts-ignore: decorator
@inline
function xor(x: v128, y: v128): v128 { return v128.xor(x, y); }
// @ts-ignore: decorator
@inline
function and(x: v128, y: v128): v128 { return v128.and(x, y); }
// @ts-ignore: decorator
@inline
function xnor(x: v128, y: v128): v128 { return v128.xor(x, v128.not(y)); }

/**
 * The S-box on all octets of the planes, in place: the circuit of Boyar and Peralta, «A depth-16 circuit for the AES
 * S-box» (2011): linear in, inversion in GF((2^4)^2), linear out. Its bits count from the left: x0 is plane 7.
 */
function subBytes(planesPtr: u32): void {
  const x0 = v128.load(planesPtr, 112), x1 = v128.load(planesPtr, 96), x2 = v128.load(planesPtr, 80);
  const x3 = v128.load(planesPtr, 64), x4 = v128.load(planesPtr, 48), x5 = v128.load(planesPtr, 32);
  const x6 = v128.load(planesPtr, 16), x7 = v128.load(planesPtr);

  const y14 = xor(x3, x5), y13 = xor(x0, x6), y9 = xor(x0, x3), y8 = xor(x0, x5);
  const t0 = xor(x1, x2), y1 = xor(t0, x7), y4 = xor(y1, x3), y12 = xor(y13, y14);
  const y2 = xor(y1, x0), y5 = xor(y1, x6), y3 = xor(y5, y8), t1 = xor(x4, y12);
  const y15 = xor(t1, x5), y20 = xor(t1, x1), y6 = xor(y15, x7), y10 = xor(y15, t0);
  const y11 = xor(y20, y9), y7 = xor(x7, y11), y17 = xor(y10, y11), y19 = xor(y10, y8);
  const y16 = xor(t0, y11), y21 = xor(y13, y16), y18 = xor(x0, y16);

  const t2 = and(y12, y15), t4 = xor(and(y3, y6), t2), t6 = xor(and(y4, x7), t2);
  const t7 = and(y13, y16), t9 = xor(and(y5, y1), t7), t11 = xor(and(y2, y7), t7);
  const t12 = and(y9, y11), t14 = xor(and(y14, y17), t12), t16 = xor(and(y8, y10), t12);
  const t21 = xor(xor(t4, t14), y20), t22 = xor(xor(t6, t16), y19);
  const t23 = xor(xor(t9, t14), y21), t24 = xor(xor(t11, t16), y18);
  const t25 = xor(t21, t22), t26 = and(t21, t23), t27 = xor(t24, t26);
  const t29 = xor(and(t25, t27), t22), t30 = xor(t23, t24), t31 = xor(t22, t26);
  const t33 = xor(and(t31, t30), t24), t34 = xor(t23, t33), t35 = xor(t27, t33);
  const t36 = and(t24, t35), t37 = xor(t36, t34), t38 = xor(t27, t36);
  const t40 = xor(t25, and(t29, t38)), t41 = xor(t40, t37), t42 = xor(t29, t33);
  const t43 = xor(t29, t40), t44 = xor(t33, t37), t45 = xor(t42, t41);

  const z0 = and(t44, y15), z1 = and(t37, y6), z2 = and(t33, x7), z3 = and(t43, y16), z4 = and(t40, y1);
  const z5 = and(t29, y7), z6 = and(t42, y11), z7 = and(t45, y17), z8 = and(t41, y10), z9 = and(t44, y12);
  const z10 = and(t37, y3), z11 = and(t33, y4), z12 = and(t43, y13), z13 = and(t40, y5), z14 = and(t29, y2);
  const z15 = and(t42, y9), z16 = and(t45, y14), z17 = and(t41, y8);

  const t46 = xor(z15, z16), t47 = xor(z10, z11), t48 = xor(z5, z13), t49 = xor(z9, z10);
  const t50 = xor(z2, z12), t51 = xor(z2, z5), t52 = xor(z7, z8), t53 = xor(z0, z3);
  const t54 = xor(z6, z7), t55 = xor(z16, z17), t56 = xor(z12, t48), t57 = xor(t50, t53);
  const t58 = xor(z4, t46), t59 = xor(z3, t54), t60 = xor(t46, t57), t61 = xor(z14, t57);
  const t62 = xor(t52, t58), t63 = xor(t49, t58), t64 = xor(z4, t59), t65 = xor(t61, t62);
  const t66 = xor(z1, t63), t67 = xor(t64, t65), s3 = xor(t53, t66);

  v128.store(planesPtr, xor(t59, t63), 112);
  v128.store(planesPtr, xnor(t64, s3), 96);
  v128.store(planesPtr, xnor(t55, t67), 80);
  v128.store(planesPtr, s3, 64);
  v128.store(planesPtr, xor(t51, t66), 48);
  v128.store(planesPtr, xor(t47, t65), 32);
  v128.store(planesPtr, xnor(t56, t62), 16);
  v128.store(planesPtr, xnor(t48, t60));
}

/** Exchanges the bits of `b` under `mask` with the bits of `a` that lie `distance` higher. */
// @ts-ignore: decorator
@inline
function exchange(aPtr: u32, bPtr: u32, distance: i32, mask: u8): void {
  const a = v128.load(aPtr);
  const b = v128.load(bPtr);
  const bits = and(xor(i64x2.shr_u(a, distance), b), i8x16.splat(mask));
  v128.store(bPtr, xor(b, bits));
  v128.store(aPtr, xor(a, i64x2.shl(bits, distance)));
}

/** Turns 8 × 8 bits over their diagonal, for each octet of eight blocks: blocks to planes, and back. */
function transpose(ptr: u32): void {
  for (let i: u32 = 0; i < 128; i += 32) exchange(ptr + i, ptr + i + 16, 1, 0x55);
  for (let i: u32 = 0; i < 128; i += 64) {
    exchange(ptr + i, ptr + i + 32, 2, 0x33);
    exchange(ptr + i + 16, ptr + i + 48, 2, 0x33);
  }
  for (let i: u32 = 0; i < 64; i += 16) exchange(ptr + i, ptr + i + 64, 4, 0x0f);
}

/** SubWord of FIPS 197 section 5.2, through the circuit: bit 0 of each octet of plane i is the octet's bit i. */
function subWord(word: u32, planesPtr: u32): u32 {
  const octets = i32x4.splat(word);
  for (let i: u32 = 0; i < 8; ++i) v128.store(planesPtr + i * 16, i8x16.shr_u(octets, i));
  subBytes(planesPtr);
  let out: u32 = 0;
  for (let i: u32 = 0; i < 8; ++i) out |= (load<u32>(planesPtr + i * 16) & 0x01010101) << i;
  return out;
}

/** The round keys (FIPS 197 section 5.2), each as eight planes. Returns the number of rounds. */
function expandKey(keyPtr: u32, keyLen: u32, workPtr: u32): u32 {
  const keyWords = keyLen / 4;
  const rounds = keyWords + 6;
  const words = workPtr + WORDS;
  memory.copy(words, keyPtr, keyLen);
  let rcon: u32 = 1;
  for (let i = keyWords; i < 4 * (rounds + 1); ++i) {
    let word = load<u32>(words + (i - 1) * 4);
    if (i % keyWords == 0) {
      word = subWord(rotr(word, 8), workPtr) ^ rcon;
      rcon = (rcon << 1) ^ (rcon >> 7) * 0x11b;
    } else if (keyWords == 8 && i % 8 == 4) {
      word = subWord(word, workPtr);
    }
    store<u32>(words + i * 4, word ^ load<u32>(words + (i - keyWords) * 4));
  }
  for (let round: u32 = 0; round <= rounds; ++round) {
    const key = v128.load(words + round * 16);
    for (let i: u32 = 0; i < 8; ++i) {
      const bit = i8x16.splat(1 << <u8>i);
      v128.store(workPtr + ROUND_KEYS + round * 128 + i * 16, i8x16.eq(and(key, bit), bit));
    }
  }
  return rounds;
}

/** Each octet's row of the state, from `by` rows below, in its column. */
// @ts-ignore: decorator
@inline
function rowBelow(x: v128): v128 {
  return i8x16.shuffle(x, x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
}
// @ts-ignore: decorator
@inline
function rowOpposite(x: v128): v128 {
  return i8x16.shuffle(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}
/** InvShiftRows of one plane. */
// @ts-ignore: decorator
@inline
function loadShifted(planesPtr: u32, i: u32): v128 {
  const x = v128.load(planesPtr + i * 16);
  return i8x16.shuffle(x, x, 0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3);
}

/** AddRoundKey of one plane, behind the inverse affine map of the S-box: three planes of its input, one of the key. */
// @ts-ignore: decorator
@inline
function affineKey(a: v128, b: v128, c: v128, keyPtr: u32, i: u32): v128 {
  return xor(xor(a, b), xor(c, v128.load(keyPtr + i * 16)));
}

/**
 * InvShiftRows and InvSubBytes, then AddRoundKey. The inverse S-box is the S-box between two inverse affine maps:
 * S = A ∘ inv, so inv ∘ A⁻¹ = A⁻¹ ∘ S ∘ A⁻¹, where A⁻¹ makes bit i of bits i + 2, i + 5, i + 7, and turns over bits
 * 0 and 2 (FIPS 197 section 5.3.2).
 */
function invSubAddKey(planesPtr: u32, keyPtr: u32): void {
  const x0 = loadShifted(planesPtr, 0);
  const x1 = loadShifted(planesPtr, 1);
  const x2 = loadShifted(planesPtr, 2);
  const x3 = loadShifted(planesPtr, 3);
  const x4 = loadShifted(planesPtr, 4);
  const x5 = loadShifted(planesPtr, 5);
  const x6 = loadShifted(planesPtr, 6);
  const x7 = loadShifted(planesPtr, 7);
  v128.store(planesPtr, v128.not(xor(xor(x2, x5), x7)), 0);
  v128.store(planesPtr, xor(xor(x3, x6), x0), 16);
  v128.store(planesPtr, v128.not(xor(xor(x4, x7), x1)), 32);
  v128.store(planesPtr, xor(xor(x5, x0), x2), 48);
  v128.store(planesPtr, xor(xor(x6, x1), x3), 64);
  v128.store(planesPtr, xor(xor(x7, x2), x4), 80);
  v128.store(planesPtr, xor(xor(x0, x3), x5), 96);
  v128.store(planesPtr, xor(xor(x1, x4), x6), 112);
  subBytes(planesPtr);
  const s0 = v128.load(planesPtr, 0);
  const s1 = v128.load(planesPtr, 16);
  const s2 = v128.load(planesPtr, 32);
  const s3 = v128.load(planesPtr, 48);
  const s4 = v128.load(planesPtr, 64);
  const s5 = v128.load(planesPtr, 80);
  const s6 = v128.load(planesPtr, 96);
  const s7 = v128.load(planesPtr, 112);
  v128.store(planesPtr, v128.not(affineKey(s2, s5, s7, keyPtr, 0)), 0);
  v128.store(planesPtr, affineKey(s3, s6, s0, keyPtr, 1), 16);
  v128.store(planesPtr, v128.not(affineKey(s4, s7, s1, keyPtr, 2)), 32);
  v128.store(planesPtr, affineKey(s5, s0, s2, keyPtr, 3), 48);
  v128.store(planesPtr, affineKey(s6, s1, s3, keyPtr, 4), 64);
  v128.store(planesPtr, affineKey(s7, s2, s4, keyPtr, 5), 80);
  v128.store(planesPtr, affineKey(s0, s3, s5, keyPtr, 6), 96);
  v128.store(planesPtr, affineKey(s1, s4, s6, keyPtr, 7), 112);
}

/**
 * InvMixColumns: y = 5x + 4·(x two rows below), then MixColumns of y, which is 2(y + z) + z + (y + z two rows below)
 * with z = y one row below.
 */
function invMixColumns(planesPtr: u32): void {
  const x0 = v128.load(planesPtr, 0), t0 = xor(x0, rowOpposite(x0));
  const x1 = v128.load(planesPtr, 16), t1 = xor(x1, rowOpposite(x1));
  const x2 = v128.load(planesPtr, 32), t2 = xor(x2, rowOpposite(x2));
  const x3 = v128.load(planesPtr, 48), t3 = xor(x3, rowOpposite(x3));
  const x4 = v128.load(planesPtr, 64), t4 = xor(x4, rowOpposite(x4));
  const x5 = v128.load(planesPtr, 80), t5 = xor(x5, rowOpposite(x5));
  const x6 = v128.load(planesPtr, 96), t6 = xor(x6, rowOpposite(x6));
  const x7 = v128.load(planesPtr, 112), t7 = xor(x7, rowOpposite(x7));
  // Times 4, reduced by x^8 = x^4 + x^3 + x + 1.
  const t67 = xor(t6, t7);
  const y0 = xor(x0, t6), z0 = rowBelow(y0), u0 = xor(y0, z0);
  const y1 = xor(x1, t67), z1 = rowBelow(y1), u1 = xor(y1, z1);
  const y2 = xor(x2, xor(t0, t7)), z2 = rowBelow(y2), u2 = xor(y2, z2);
  const y3 = xor(x3, xor(t1, t6)), z3 = rowBelow(y3), u3 = xor(y3, z3);
  const y4 = xor(x4, xor(t2, t67)), z4 = rowBelow(y4), u4 = xor(y4, z4);
  const y5 = xor(x5, xor(t3, t7)), z5 = rowBelow(y5), u5 = xor(y5, z5);
  const y6 = xor(x6, t4), z6 = rowBelow(y6), u6 = xor(y6, z6);
  const y7 = xor(x7, t5), z7 = rowBelow(y7), u7 = xor(y7, z7);
  // Times 2.
  v128.store(planesPtr, xor(xor(u7, z0), rowOpposite(u0)), 0);
  v128.store(planesPtr, xor(xor(xor(u0, u7), z1), rowOpposite(u1)), 16);
  v128.store(planesPtr, xor(xor(u1, z2), rowOpposite(u2)), 32);
  v128.store(planesPtr, xor(xor(xor(u2, u7), z3), rowOpposite(u3)), 48);
  v128.store(planesPtr, xor(xor(xor(u3, u7), z4), rowOpposite(u4)), 64);
  v128.store(planesPtr, xor(xor(u4, z5), rowOpposite(u5)), 80);
  v128.store(planesPtr, xor(xor(u5, z6), rowOpposite(u6)), 96);
  v128.store(planesPtr, xor(xor(u6, z7), rowOpposite(u7)), 112);
}

/**
 * Decrypts whole blocks in CBC mode.
 * @param keyLen 16, 24 or 32 octets
 * @param length a multiple of 16
 * @param outPtr may be `dataPtr`
 * @param workPtr room of AES_SIZE
 */
export function decryptAes(
  keyPtr: u32, keyLen: u32, ivPtr: u32, dataPtr: u32, length: u32, outPtr: u32, workPtr: u32,
): void {
  const rounds = expandKey(keyPtr, keyLen, workPtr);
  const keys = workPtr + ROUND_KEYS;
  const blocks = workPtr + BLOCKS;
  const previous = workPtr + PREVIOUS;
  memory.copy(previous, ivPtr, 16);
  for (let at: u32 = 0; at < length; at += 128) {
    const octets = min<u32>(128, length - at);
    memory.copy(blocks, dataPtr + at, octets);
    memory.copy(previous + 16, blocks, 112);
    const last = v128.load(blocks, 112);
    memory.copy(workPtr, blocks, 128);
    transpose(workPtr);
    const first = keys + rounds * 128;
    for (let i: u32 = 0; i < 128; i += 16) {
      v128.store(workPtr + i, xor(v128.load(workPtr + i), v128.load(first + i)));
    }
    for (let key = first - 128; ; key -= 128) {
      invSubAddKey(workPtr, key);
      if (key == keys) break;
      invMixColumns(workPtr);
    }
    transpose(workPtr);
    for (let i: u32 = 0; i < octets; i += 16) {
      v128.store(outPtr + at + i, xor(v128.load(workPtr + i), v128.load(previous + i)));
    }
    v128.store(previous, last);
  }
}
