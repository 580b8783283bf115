/** Public and private keys, for everything above x509. */
export {
  type AnyPrivateKey,
  assertKeyHandle,
  type HandleDecryption,
  type HandleSignature,
  type KeyHandle,
} from './keyhandle.js';
export { PrivateKey } from './privatekey.js';
export { type KeyAlgorithm, PublicKey } from './publickey.js';
export { type WebCrypto, type WebCryptoKey, webCryptoKey } from './webcryptokey.js';
