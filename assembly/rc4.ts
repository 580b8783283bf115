/**
 * RC4: legacy PFX files, with 40 or 128 bits. Called by pfx.ts. Its state is a table indexed with secret data, which
 * cannot be avoided.
 */

/** Octets of room: the state. */
export const RC4_SIZE: u32 = 256;

// @ts-ignore: decorator
@inline
function swap(statePtr: u32, i: u32, j: u32): void {
  const octet = load<u8>(statePtr + i);
  store<u8>(statePtr + i, load<u8>(statePtr + j));
  store<u8>(statePtr + j, octet);
}

/**
 * Decrypts (or encrypts) a stream from its beginning.
 * @param keyLen 1 to 256 octets
 * @param outPtr may be `dataPtr`
 * @param workPtr room of RC4_SIZE
 */
export function decryptRc4(keyPtr: u32, keyLen: u32, dataPtr: u32, length: u32, outPtr: u32, workPtr: u32): void {
  for (let i: u32 = 0; i < 256; ++i) store<u8>(workPtr + i, i);
  let j: u32 = 0;
  for (let i: u32 = 0, k: u32 = 0; i < 256; ++i) {
    j = (j + load<u8>(workPtr + i) + load<u8>(keyPtr + k)) & 0xff;
    swap(workPtr, i, j);
    if (++k == keyLen) k = 0;
  }
  j = 0;
  for (let at: u32 = 0; at < length; ++at) {
    const i = (at + 1) & 0xff;
    j = (j + load<u8>(workPtr + i)) & 0xff;
    swap(workPtr, i, j);
    const index = (<u32>load<u8>(workPtr + i) + load<u8>(workPtr + j)) & 0xff;
    store<u8>(outPtr + at, load<u8>(dataPtr + at) ^ load<u8>(workPtr + index));
  }
}
