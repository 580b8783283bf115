/**
 * RSAES-PKCS1-v1_5 unpadding (RFC 8017 section 7.2.2) with implicit rejection (RFC 3218): the message if the padding
 * is right and the message has the wanted length, else a random key that the caller gives. Called through src/wasm.ts
 * by the key transport of CMS. Answers Bleichenbacher's attack and Marvin: the time and the addresses depend on the
 * two lengths only, which are public, and there is no error to tell apart.
 *
 * The wanted length fixes where the zero octet has to stand, so nothing is searched:
 *
 *   EM = 00 02 | PS, 8 octets or more, none of them 00 | 00 | message of keyLen octets
 */

/**
 * @param emPtr EM, as many octets as the modulus has, from the raw RSA operation
 * @param outPtr keyLen octets; on entry the random key, which stays where EM is not right
 */
export function unwrapPkcs1(emPtr: u32, emLen: u32, outPtr: u32, keyLen: u32): void {
  if (<u64>keyLen + 11 > <u64>emLen) return; // no message of this length fits: public
  const zero = emLen - keyLen - 1;
  let bad: u32 = load<u8>(emPtr) | (load<u8>(emPtr, 1) ^ 2) | load<u8>(emPtr + zero);
  // x - 1 has its top bit set for x = 0 only, as x is below 256.
  for (let i: u32 = 2; i < zero; ++i) bad |= (<u32>load<u8>(emPtr + i) - 1) >> 31;
  const keep = <u8>((bad - 1) >> 31) - 1; // 00 if bad is 0, else ff
  for (let i: u32 = 0; i < keyLen; ++i) {
    const at = outPtr + i;
    store<u8>(at, (load<u8>(at) & keep) | (load<u8>(emPtr + zero + 1 + i) & ~keep));
  }
}
