/** Public and private keys, for everything above x509. */
export type { CurveName } from './curves.js';
export { PrivateKey } from './privatekey.js';
export { type KeyAlgorithm, PublicKey } from './publickey.js';
