/**
 * RSAES-OAEP unpadding (RFC 8017 section 7.1.2, step 3) with implicit rejection, as in rsaunwrap.ts: the message if the
 * padding is right and the message has the wanted length, else a key that the caller gives. Called through src/wasm.ts by
 * the key transport of CMS, for what OpenSSL can't be asked through node:crypto. Answers Manger's attack (2001), which asks
 * whether the first octet was zero: time and addresses depend on lengths only, which are public, and there is no error to
 * tell apart.
 *
 *   EM = 00 | masked seed, hLen octets | masked DB
 *   DB = lHash, hLen octets | PS, zeros | 01 | message of keyLen octets
 */

/**
 * @param emPtr EM, as many octets as the modulus has, from the raw RSA operation; its DB is unmasked here
 * @param hashPtr lHash: the digest of the label
 * @param maskPtr the mask of DB: emLen - hashLen - 1 octets of MGF1 over the seed
 * @param outPtr keyLen octets; on entry the key that stays where EM is not right
 */
export function unwrapOaep(
  emPtr: u32,
  emLen: u32,
  hashPtr: u32,
  hashLen: u32,
  maskPtr: u32,
  outPtr: u32,
  keyLen: u32,
): void {
  if (<u64>keyLen + 2 * <u64>hashLen + 2 > <u64>emLen) return; // no message of this length fits: public
  const dbPtr = emPtr + 1 + hashLen;
  const one = emLen - 1 - hashLen - keyLen - 1; // where 01 has to stand in DB
  for (let i: u32 = 0; i < one + 1 + keyLen; ++i) {
    store<u8>(dbPtr + i, load<u8>(dbPtr + i) ^ load<u8>(maskPtr + i));
  }
  let bad: u32 = load<u8>(emPtr);
  for (let i: u32 = 0; i < hashLen; ++i) bad |= load<u8>(dbPtr + i) ^ load<u8>(hashPtr + i);
  for (let i = hashLen; i < one; ++i) bad |= load<u8>(dbPtr + i);
  bad |= load<u8>(dbPtr + one) ^ 1;
  const keep = <u8>((bad - 1) >> 31) - 1; // 00 if bad is 0, else ff
  for (let i: u32 = 0; i < keyLen; ++i) {
    const at = outPtr + i;
    store<u8>(at, (load<u8>(at) & keep) | (load<u8>(dbPtr + one + 1 + i) & ~keep));
  }
}
