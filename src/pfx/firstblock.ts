/**
 * The first block of a CBC plaintext without its IV. The legacy ciphers of PKCS#12 derive the IV from the password at
 * the price of a key, one chain in three of a whole file, yet it reaches the first eight octets alone; and what those
 * are, DER says for the two structures that a PFX encrypts: the headers of all that follows them (RFC 7292 4.2,
 * RFC 5958 2). So those octets are written anew, and only a plaintext that leaves a choice has its IV derived.
 * Nothing is taken on trust: a file whose MAC does not match is refused as ever. Called by plan.ts.
 */
import { contextConstructed, Tag } from '../asn1/tags.js';

/** Octets of a block of DES, 3DES and RC2. */
export const BLOCK_LENGTH = 8;

export type Structure = 'SafeContents' | 'PrivateKeyInfo';

/** 1.2.840.113549.1.12.10.1, below which the bag types are, as the value of a SafeBag begins. */
const BAG_ID = [Tag.OID, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];

/** A bag's value, a key's attributes. */
const CONTEXT_0 = contextConstructed(0);
/** In its primitive form, the only one of DER. */
const OCTET_STRING = 0x04;

/**
 * Writes the first {@link BLOCK_LENGTH} octets of `plaintext`, whatever they are.
 * @returns false, and leaves it alone, if the rest does not show beyond doubt what they must be
 */
export function restoreFirstBlock(plaintext: Uint8Array, structure: Structure): boolean {
  // 30 82 LL LL: shorter ones, which have more of what follows in the first block, are not worth the cases.
  const length = plaintext.length - 4;
  if (length < 0x100 || length > 0xffff) return false;
  const tail = structure === 'SafeContents' ? bagHeader(plaintext) : versionAndTag(plaintext);
  if (tail === undefined) return false;
  plaintext.set([Tag.SEQUENCE, 0x82, length >> 8, length & 0xff, ...tail]);
  return true;
}

/** 30 82 LL LL of the first SafeBag, by where its parts end. */
function bagHeader(plaintext: Uint8Array): number[] | undefined {
  if (BAG_ID.some((octet, i) => plaintext[BLOCK_LENGTH + i] !== octet)) return undefined;
  let end = endOf(plaintext, BLOCK_LENGTH + BAG_ID.length + 1, CONTEXT_0);
  if (end !== undefined && plaintext[end] === Tag.SET) end = endOf(plaintext, end, Tag.SET);
  if (end === undefined || (end < plaintext.length && plaintext[end] !== Tag.SEQUENCE)) return undefined;
  const length = end - BLOCK_LENGTH;
  return length < 0x100 ? undefined : [Tag.SEQUENCE, 0x82, length >> 8, length & 0xff];
}

/** 02 01 00 30: version 0, unless a public key stands at the end; the AlgorithmIdentifier, whose length follows. */
function versionAndTag(plaintext: Uint8Array): number[] | undefined {
  const length = plaintext[BLOCK_LENGTH] as number;
  if (length > 0x7f || plaintext[BLOCK_LENGTH + 1] !== Tag.OID) return undefined;
  let end = endOf(plaintext, BLOCK_LENGTH + 1 + length, OCTET_STRING);
  if (end !== undefined && plaintext[end] === CONTEXT_0) end = endOf(plaintext, end, CONTEXT_0);
  return end === plaintext.length ? [Tag.INTEGER, 1, 0, Tag.SEQUENCE] : undefined;
}

/** Where the value at `at` ends, if it has that tag, a definite length in one of DER's forms, and lies within. */
function endOf(bytes: Uint8Array, at: number, tag: number): number | undefined {
  const first = bytes[at + 1];
  if (bytes[at] !== tag || first === undefined) return undefined;
  const octets = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || octets > 2) return undefined;
  let length = octets === 0 ? first : 0;
  for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
  const end = at + 2 + octets + length;
  return end <= bytes.length ? end : undefined;
}
