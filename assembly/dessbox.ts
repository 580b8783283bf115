/**
 * The S-boxes of DES (FIPS 46-3 appendix 1) as circuits for 128 blocks at once, with E, the round key and P around
 * them. Called by des.ts.
 *
 * The circuits were found by search: a function is taken from what is there, else from one or two more gates, else
 * split at an input; orders of inputs and outputs at random, the smallest kept (after M. Kwan, «Reducing the gate
 * count of bitslice DES», 2000). a1…a6 are the inputs in the order of E, a1 the first.
 */

// @ts-ignore: decorator
@inline
function and(x: v128, y: v128): v128 { return v128.and(x, y); }
// @ts-ignore: decorator
@inline
function or(x: v128, y: v128): v128 { return v128.or(x, y); }
// @ts-ignore: decorator
@inline
function xor(x: v128, y: v128): v128 { return v128.xor(x, y); }
// @ts-ignore: decorator
@inline
function andnot(x: v128, y: v128): v128 { return v128.andnot(x, y); }
// @ts-ignore: decorator
@inline
function addTo(ptr: u32, x: v128): void { v128.store(ptr, v128.xor(v128.load(ptr), x)); }

/** 65 gates. */
// @ts-ignore: decorator
@inline
export function box1(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 496), v128.load_splat<u32>(keyPtr, 0));
  const a2 = xor(v128.load(halfPtr, 0), v128.load_splat<u32>(keyPtr, 4));
  const a3 = xor(v128.load(halfPtr, 16), v128.load_splat<u32>(keyPtr, 8));
  const a4 = xor(v128.load(halfPtr, 32), v128.load_splat<u32>(keyPtr, 12));
  const a5 = xor(v128.load(halfPtr, 48), v128.load_splat<u32>(keyPtr, 16));
  const a6 = xor(v128.load(halfPtr, 64), v128.load_splat<u32>(keyPtr, 20));
  const ones = i32x4.splat(-1);
  const x1 = xor(ones, a4), x2 = xor(x1, a3), x3 = and(x2, a6), x4 = xor(x3, a4), x5 = and(x4, a5),
    x6 = xor(x5, x2), x7 = or(x2, a6), x8 = and(x7, x4), x9 = or(x8, x2), x10 = or(x9, a5),
    x11 = xor(x10, x7), x12 = or(x11, a1), x13 = xor(x12, x6), x14 = xor(a5, a3), x15 = andnot(x7, x14),
    x16 = xor(x15, x4), x17 = and(a4, a5), x18 = xor(x17, x16), x19 = andnot(x18, a1), x20 = xor(x19, x15),
    x21 = or(x20, a2), x22 = xor(x21, x13), x23 = xor(x13, x11), x24 = or(x20, x13), x25 = and(x24, a2),
    x26 = xor(x25, x23), x27 = xor(x22, x18), x28 = andnot(x27, a3), x29 = xor(x28, x26), x30 = or(x21, x12),
    x31 = or(x22, x17), x32 = xor(x31, x13), x33 = and(x32, a3), x34 = xor(x33, x30), x35 = andnot(x34, a1),
    x36 = xor(x35, x29), x37 = xor(x36, x22), x38 = or(x37, a6), x39 = xor(x38, x20), x40 = xor(x39, x29),
    x41 = and(x40, x27), x42 = or(x41, a5), x43 = xor(x42, x39), x44 = xor(x42, a1), x45 = andnot(x44, x16),
    x46 = and(x32, x6), x47 = xor(x46, a6), x48 = and(x47, a5), x49 = xor(x48, x45), x50 = and(x49, a2),
    x51 = xor(x50, x43), x52 = or(x45, x17), x53 = xor(x52, x2), x54 = andnot(x12, x38), x55 = xor(x54, x28),
    x56 = or(x55, a6), x57 = xor(x56, x53), x58 = or(x38, a3), x59 = andnot(x58, x19), x60 = and(x51, x16),
    x61 = xor(x60, x23), x62 = and(x61, a6), x63 = xor(x62, x59), x64 = or(x63, a2), x65 = xor(x64, x57);
  addTo(toPtr + 128, x36);
  addTo(toPtr + 256, x22);
  addTo(toPtr + 352, x65);
  addTo(toPtr + 480, x51);
}

/** 61 gates. */
// @ts-ignore: decorator
@inline
export function box2(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 48), v128.load_splat<u32>(keyPtr, 24));
  const a2 = xor(v128.load(halfPtr, 64), v128.load_splat<u32>(keyPtr, 28));
  const a3 = xor(v128.load(halfPtr, 80), v128.load_splat<u32>(keyPtr, 32));
  const a4 = xor(v128.load(halfPtr, 96), v128.load_splat<u32>(keyPtr, 36));
  const a5 = xor(v128.load(halfPtr, 112), v128.load_splat<u32>(keyPtr, 40));
  const a6 = xor(v128.load(halfPtr, 128), v128.load_splat<u32>(keyPtr, 44));
  const ones = i32x4.splat(-1);
  const x1 = xor(a5, a2), x2 = xor(x1, a1), x3 = andnot(ones, a6), x4 = xor(x3, x2), x5 = or(x4, x1),
    x6 = andnot(a2, x5), x7 = or(x6, a6), x8 = xor(x7, a2), x9 = and(x8, a3), x10 = xor(x9, x4),
    x11 = or(x3, x1), x12 = xor(x11, x8), x13 = andnot(x7, x12), x14 = and(x13, a3), x15 = xor(x14, x12),
    x16 = and(x15, a4), x17 = xor(x16, x10), x18 = xor(x14, a2), x19 = or(x7, a1), x20 = or(x19, a5),
    x21 = xor(x20, x18), x22 = andnot(x21, x7), x23 = or(x22, x4), x24 = andnot(x23, a3),
    x25 = xor(x24, x21), x26 = andnot(x2, x25), x27 = andnot(x1, x26), x28 = andnot(x11, x2),
    x29 = or(x26, a5), x30 = xor(x29, x28), x31 = and(x30, a3), x32 = xor(x31, x27), x33 = or(x32, a4),
    x34 = xor(x33, x25), x35 = andnot(x32, x9), x36 = andnot(x8, a4), x37 = xor(x36, x35),
    x38 = and(x23, x17), x39 = andnot(x38, a6), x40 = xor(x39, x37), x41 = or(x37, x30), x42 = and(x41, a5),
    x43 = xor(x40, x21), x44 = or(a5, a4), x45 = xor(x44, x43), x46 = and(x45, a6), x47 = xor(x46, x42),
    x48 = andnot(x47, a1), x49 = xor(x48, x40), x50 = xor(x14, x4), x51 = xor(x50, a3), x52 = or(x18, x13),
    x53 = andnot(x52, a4), x54 = xor(x53, x51), x55 = or(x49, x12), x56 = xor(x55, x1), x57 = or(x50, x19),
    x58 = or(x57, a4), x59 = xor(x58, x56), x60 = andnot(x59, a1), x61 = xor(x60, x54);
  addTo(toPtr + 192, x61);
  addTo(toPtr + 432, x17);
  addTo(toPtr + 16, x34);
  addTo(toPtr + 272, x49);
}

/** 60 gates. */
// @ts-ignore: decorator
@inline
export function box3(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 112), v128.load_splat<u32>(keyPtr, 48));
  const a2 = xor(v128.load(halfPtr, 128), v128.load_splat<u32>(keyPtr, 52));
  const a3 = xor(v128.load(halfPtr, 144), v128.load_splat<u32>(keyPtr, 56));
  const a4 = xor(v128.load(halfPtr, 160), v128.load_splat<u32>(keyPtr, 60));
  const a5 = xor(v128.load(halfPtr, 176), v128.load_splat<u32>(keyPtr, 64));
  const a6 = xor(v128.load(halfPtr, 192), v128.load_splat<u32>(keyPtr, 68));
  const ones = i32x4.splat(-1);
  const x1 = xor(a6, a4), x2 = xor(x1, a2), x3 = xor(a4, a3), x4 = and(x3, a5), x5 = xor(x4, x2),
    x6 = xor(ones, a3), x7 = andnot(x6, a2), x8 = xor(x7, x3), x9 = or(x8, x2), x10 = and(x9, a6),
    x11 = xor(x10, x7), x12 = xor(x8, x5), x13 = or(a2, a6), x14 = xor(x13, x12), x15 = and(x14, a5),
    x16 = xor(x15, x11), x17 = and(x16, a1), x18 = xor(x17, x5), x19 = xor(x12, a5), x20 = or(x19, x1),
    x21 = and(x20, a4), x22 = xor(x21, x5), x23 = or(a1, a1), x24 = xor(x23, x22), x25 = andnot(x10, x20),
    x26 = andnot(x20, x14), x27 = xor(x24, x15), x28 = and(x27, a4), x29 = xor(x28, x26),
    x30 = andnot(x29, a1), x31 = xor(x30, x25), x32 = or(x31, a3), x33 = xor(x32, x24),
    x34 = andnot(x13, x19), x35 = xor(x34, x4), x36 = andnot(x28, x13), x37 = or(x36, a1),
    x38 = xor(x37, x35), x39 = or(x27, x13), x40 = andnot(x11, x33), x41 = xor(x40, x2), x42 = or(x41, a1),
    x43 = xor(x42, x39), x44 = or(x43, a4), x45 = xor(x44, x38), x46 = xor(x34, x18), x47 = or(x5, a3),
    x48 = xor(x47, x46), x49 = andnot(x45, x14), x50 = xor(x49, x43), x51 = or(x50, a1), x52 = xor(x51, x48),
    x53 = andnot(x35, a5), x54 = xor(x53, x29), x55 = xor(x54, x48), x56 = or(x55, a5), x57 = or(x56, a1),
    x58 = xor(x57, x54), x59 = and(x58, a6), x60 = xor(x59, x52);
  addTo(toPtr + 368, x45);
  addTo(toPtr + 240, x33);
  addTo(toPtr + 464, x60);
  addTo(toPtr + 80, x18);
}

/** 44 gates. */
// @ts-ignore: decorator
@inline
export function box4(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 176), v128.load_splat<u32>(keyPtr, 72));
  const a2 = xor(v128.load(halfPtr, 192), v128.load_splat<u32>(keyPtr, 76));
  const a3 = xor(v128.load(halfPtr, 208), v128.load_splat<u32>(keyPtr, 80));
  const a4 = xor(v128.load(halfPtr, 224), v128.load_splat<u32>(keyPtr, 84));
  const a5 = xor(v128.load(halfPtr, 240), v128.load_splat<u32>(keyPtr, 88));
  const a6 = xor(v128.load(halfPtr, 256), v128.load_splat<u32>(keyPtr, 92));
  const ones = i32x4.splat(-1);
  const x1 = xor(ones, a2), x2 = and(a4, a5), x3 = xor(x2, x1), x4 = andnot(a4, x3), x5 = or(x4, a5),
    x6 = xor(x5, a1), x7 = and(x6, a1), x8 = xor(x7, x3), x9 = and(x8, x2), x10 = xor(x9, x5),
    x11 = andnot(x10, a1), x12 = xor(x11, x1), x13 = and(x12, a3), x14 = xor(x13, x8), x15 = or(x13, x4),
    x16 = xor(x15, a4), x17 = and(a5, a1), x18 = xor(x17, x16), x19 = andnot(x12, a5),
    x20 = andnot(x18, x14), x21 = and(x20, a1), x22 = xor(x21, x19), x23 = or(x22, a3), x24 = xor(x23, x18),
    x25 = andnot(x24, a6), x26 = xor(x25, x14), x27 = xor(x26, x24), x28 = xor(x27, a6), x29 = and(x24, a1),
    x30 = xor(x29, x12), x31 = xor(x21, a1), x32 = or(x31, x4), x33 = or(x32, a3), x34 = xor(x33, x30),
    x35 = or(x8, a5), x36 = andnot(x35, x16), x37 = andnot(x10, x2), x38 = xor(x37, ones),
    x39 = andnot(x38, a3), x40 = xor(x39, x36), x41 = andnot(x40, a6), x42 = xor(x41, x34),
    x43 = xor(x42, x40), x44 = xor(x43, a6);
  addTo(toPtr + 400, x26);
  addTo(toPtr + 304, x28);
  addTo(toPtr + 144, x44);
  addTo(toPtr + 0, x42);
}

/** 66 gates. */
// @ts-ignore: decorator
@inline
export function box5(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 240), v128.load_splat<u32>(keyPtr, 96));
  const a2 = xor(v128.load(halfPtr, 256), v128.load_splat<u32>(keyPtr, 100));
  const a3 = xor(v128.load(halfPtr, 272), v128.load_splat<u32>(keyPtr, 104));
  const a4 = xor(v128.load(halfPtr, 288), v128.load_splat<u32>(keyPtr, 108));
  const a5 = xor(v128.load(halfPtr, 304), v128.load_splat<u32>(keyPtr, 112));
  const a6 = xor(v128.load(halfPtr, 320), v128.load_splat<u32>(keyPtr, 116));
  const ones = i32x4.splat(-1);
  const x1 = xor(a4, a2), x2 = and(x1, a4), x3 = xor(x2, a3), x4 = and(x3, a6), x5 = xor(x4, x1),
    x6 = and(x3, a4), x7 = and(x1, a3), x8 = xor(x7, a6), x9 = and(x8, a6), x10 = xor(x9, x6),
    x11 = or(x10, a5), x12 = xor(x11, x5), x13 = xor(x12, x10), x14 = or(x13, x1), x15 = xor(x10, x3),
    x16 = andnot(x15, a6), x17 = xor(x16, x14), x18 = or(x6, a2), x19 = xor(x18, x4), x20 = andnot(x19, a5),
    x21 = xor(x20, x17), x22 = and(x21, a1), x23 = xor(x22, x12), x24 = xor(x8, a5), x25 = xor(x24, a1),
    x26 = and(a5, a1), x27 = xor(x26, a2), x28 = andnot(x27, a3), x29 = xor(x28, x25), x30 = and(x15, a1),
    x31 = andnot(x27, x30), x32 = andnot(x24, x30), x33 = and(x32, a6), x34 = xor(x33, a3),
    x35 = and(x34, a3), x36 = xor(x35, x31), x37 = or(x36, a4), x38 = xor(x37, x29), x39 = xor(x25, x11),
    x40 = and(x23, x11), x41 = xor(x40, x12), x42 = andnot(x41, a6), x43 = xor(x42, x39),
    x44 = and(x38, x24), x45 = andnot(a4, x44), x46 = or(x43, x38), x47 = andnot(x46, x14),
    x48 = andnot(x47, a6), x49 = xor(x48, x45), x50 = or(x49, a2), x51 = xor(x50, x43), x52 = or(x47, x40),
    x53 = xor(x52, x46), x54 = xor(x13, ones), x55 = or(x54, a5), x56 = xor(x55, x14), x57 = or(x56, a2),
    x58 = xor(x57, x53), x59 = xor(x23, x4), x60 = xor(x59, a1), x61 = xor(x60, x27), x62 = andnot(x61, a6),
    x63 = and(x62, a2), x64 = xor(x63, x60), x65 = and(x64, a1), x66 = xor(x65, x58);
  addTo(toPtr + 112, x23);
  addTo(toPtr + 208, x38);
  addTo(toPtr + 384, x66);
  addTo(toPtr + 32, x51);
}

/** 63 gates. */
// @ts-ignore: decorator
@inline
export function box6(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 304), v128.load_splat<u32>(keyPtr, 120));
  const a2 = xor(v128.load(halfPtr, 320), v128.load_splat<u32>(keyPtr, 124));
  const a3 = xor(v128.load(halfPtr, 336), v128.load_splat<u32>(keyPtr, 128));
  const a4 = xor(v128.load(halfPtr, 352), v128.load_splat<u32>(keyPtr, 132));
  const a5 = xor(v128.load(halfPtr, 368), v128.load_splat<u32>(keyPtr, 136));
  const a6 = xor(v128.load(halfPtr, 384), v128.load_splat<u32>(keyPtr, 140));
  const ones = i32x4.splat(-1);
  const x1 = xor(ones, a4), x2 = or(x1, a6), x3 = and(x2, a1), x4 = xor(x3, x1), x5 = xor(a4, a1),
    x6 = andnot(x5, a6), x7 = and(x6, a3), x8 = xor(x7, x4), x9 = xor(x6, a1), x10 = or(x9, a3),
    x11 = andnot(x10, a2), x12 = xor(x11, x8), x13 = xor(x3, x2), x14 = or(x13, a3), x15 = xor(x14, x5),
    x16 = andnot(x13, x15), x17 = and(x16, a2), x18 = xor(x17, x15), x19 = andnot(x18, a5),
    x20 = xor(x19, x12), x21 = xor(x18, a5), x22 = or(x21, a2), x23 = andnot(x22, a5), x24 = and(x23, a1),
    x25 = xor(x24, x21), x26 = xor(x25, x16), x27 = or(x26, a1), x28 = xor(x27, a2), x29 = andnot(x28, a3),
    x30 = xor(x29, x25), x31 = andnot(x10, x27), x32 = xor(x31, x19), x33 = andnot(x32, a3),
    x34 = xor(x33, x24), x35 = or(x34, a6), x36 = xor(x35, x30), x37 = xor(x32, x2), x38 = andnot(x27, a3),
    x39 = and(x38, a6), x40 = xor(x39, x37), x41 = andnot(x35, x7), x42 = andnot(x41, a5),
    x43 = xor(x42, x40), x44 = andnot(x38, x3), x45 = or(x18, x9), x46 = xor(x45, x36), x47 = and(x46, a5),
    x48 = xor(x47, x44), x49 = or(x48, a2), x50 = xor(x49, x43), x51 = xor(x50, x28), x52 = xor(x51, x20),
    x53 = andnot(x25, x1), x54 = xor(x53, x6), x55 = and(x54, a2), x56 = xor(x55, x52), x57 = xor(x37, x28),
    x58 = or(x57, x1), x59 = xor(x32, a6), x60 = and(x59, a2), x61 = xor(x60, x58), x62 = and(x61, a5),
    x63 = xor(x62, x56);
  addTo(toPtr + 48, x36);
  addTo(toPtr + 448, x63);
  addTo(toPtr + 160, x50);
  addTo(toPtr + 288, x20);
}

/** 63 gates. */
// @ts-ignore: decorator
@inline
export function box7(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 368), v128.load_splat<u32>(keyPtr, 144));
  const a2 = xor(v128.load(halfPtr, 384), v128.load_splat<u32>(keyPtr, 148));
  const a3 = xor(v128.load(halfPtr, 400), v128.load_splat<u32>(keyPtr, 152));
  const a4 = xor(v128.load(halfPtr, 416), v128.load_splat<u32>(keyPtr, 156));
  const a5 = xor(v128.load(halfPtr, 432), v128.load_splat<u32>(keyPtr, 160));
  const a6 = xor(v128.load(halfPtr, 448), v128.load_splat<u32>(keyPtr, 164));
  const ones = i32x4.splat(-1);
  const x1 = xor(a5, a3), x2 = xor(x1, a2), x3 = and(a5, a2), x4 = or(x3, a4), x5 = xor(x4, x2),
    x6 = andnot(x1, x2), x7 = andnot(x5, a5), x8 = xor(x7, x3), x9 = and(x8, a4), x10 = xor(x9, x6),
    x11 = or(x10, a1), x12 = xor(x11, x5), x13 = xor(x5, a3), x14 = andnot(a2, x13), x15 = and(x10, a1),
    x16 = xor(x15, x14), x17 = or(x16, a6), x18 = xor(x17, x12), x19 = xor(x2, a6), x20 = andnot(x18, x5),
    x21 = or(x20, a1), x22 = xor(x21, x19), x23 = and(x17, x11), x24 = or(x23, x6), x25 = and(x24, a4),
    x26 = xor(x25, x22), x27 = andnot(x26, x25), x28 = or(x27, x13), x29 = andnot(x19, x16),
    x30 = and(x29, x12), x31 = andnot(x30, a4), x32 = xor(x31, x28), x33 = andnot(x32, a5),
    x34 = xor(x33, x26), x35 = xor(x19, a4), x36 = and(a3, a1), x37 = xor(x36, x35), x38 = or(x34, x33),
    x39 = or(x38, a2), x40 = xor(x39, x37), x41 = xor(x40, x12), x42 = or(x36, x22), x43 = xor(x42, x31),
    x44 = or(x43, a2), x45 = xor(x44, x41), x46 = andnot(x45, a6), x47 = xor(x46, x40),
    x48 = andnot(x38, a1), x49 = xor(x48, x2), x50 = or(x46, x25), x51 = xor(x7, ones), x52 = or(x51, a4),
    x53 = xor(x52, x50), x54 = or(x53, a6), x55 = xor(x54, x49), x56 = andnot(x42, x41), x57 = xor(x56, x13),
    x58 = xor(x24, x1), x59 = or(x58, x27), x60 = and(x59, a6), x61 = xor(x60, x57), x62 = and(x61, a3),
    x63 = xor(x62, x55);
  addTo(toPtr + 496, x47);
  addTo(toPtr + 176, x63);
  addTo(toPtr + 336, x34);
  addTo(toPtr + 96, x18);
}

/** 59 gates. */
// @ts-ignore: decorator
@inline
export function box8(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  const a1 = xor(v128.load(halfPtr, 432), v128.load_splat<u32>(keyPtr, 168));
  const a2 = xor(v128.load(halfPtr, 448), v128.load_splat<u32>(keyPtr, 172));
  const a3 = xor(v128.load(halfPtr, 464), v128.load_splat<u32>(keyPtr, 176));
  const a4 = xor(v128.load(halfPtr, 480), v128.load_splat<u32>(keyPtr, 180));
  const a5 = xor(v128.load(halfPtr, 496), v128.load_splat<u32>(keyPtr, 184));
  const a6 = xor(v128.load(halfPtr, 0), v128.load_splat<u32>(keyPtr, 188));
  const ones = i32x4.splat(-1);
  const x1 = xor(a3, a1), x2 = xor(ones, a4), x3 = and(x2, a2), x4 = xor(x3, x1), x5 = and(x3, a1),
    x6 = andnot(x4, a3), x7 = xor(x6, x2), x8 = or(x7, a2), x9 = xor(x8, x5), x10 = andnot(x9, a5),
    x11 = xor(x10, x4), x12 = andnot(x11, x9), x13 = or(x12, a3), x14 = or(x13, a2), x15 = xor(x14, a4),
    x16 = and(x11, x7), x17 = xor(x16, x9), x18 = or(x17, a5), x19 = xor(x18, x15), x20 = and(x19, a6),
    x21 = xor(x20, x11), x22 = and(x17, a1), x23 = xor(x19, a1), x24 = and(x23, a4), x25 = xor(x24, x22),
    x26 = xor(x23, x7), x27 = andnot(x2, x26), x28 = andnot(x27, a5), x29 = xor(x28, x25), x30 = or(x29, a6),
    x31 = xor(x30, x11), x32 = or(x3, a1), x33 = andnot(x32, a6), x34 = xor(x33, x9), x35 = and(x34, x15),
    x36 = xor(x35, x4), x37 = andnot(x36, a5), x38 = xor(x37, x34), x39 = andnot(x38, x23),
    x40 = or(x37, x8), x41 = xor(x40, x34), x42 = andnot(x41, a5), x43 = xor(x42, x39),
    x44 = andnot(x43, a3), x45 = xor(x44, x38), x46 = or(x24, x20), x47 = xor(x46, a2), x48 = xor(x45, x16),
    x49 = andnot(x48, x24), x50 = or(x49, a6), x51 = xor(x50, x47), x52 = andnot(x25, x21),
    x53 = xor(x52, x41), x54 = andnot(x33, x52), x55 = andnot(x54, x16), x56 = or(x55, a6),
    x57 = xor(x56, x53), x58 = or(x57, a5), x59 = xor(x58, x51);
  addTo(toPtr + 64, x31);
  addTo(toPtr + 416, x59);
  addTo(toPtr + 224, x45);
  addTo(toPtr + 320, x21);
}
