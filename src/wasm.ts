/** WebAssembly, for the layers above: re-exports only. What knows it is in wasm/, wasm/instance.ts first of all. */

export { decryptCbc } from './wasm/cbc.js';
export {
  chainSteps,
  type DecryptJob,
  type Derivation,
  distinctDerivations,
  type KdfHash,
  type MacJob,
  type PbeCipherName,
  type PbeResults,
  runPbeJobs,
} from './wasm/pbe.js';
export { rsaUnwrapOaep, rsaUnwrapPkcs1 } from './wasm/rsa.js';
export { parseTape, parseTapes, type Tape, type TapeMode, TapeStatus, tapeError } from './wasm/tape.js';
export {
  Base64Decoder,
  canonicalLines,
  decodeBase64,
  decodeBase64Pieces,
  encodeBase64Lines,
  Hazard,
  LineScanner,
  scanLines,
} from './wasm/text.js';
