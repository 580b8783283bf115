/** The whole ABI of dist/core.wasm. */
export { reserve, wipe } from './memory';
export { parseTape, parseTapes, startTape } from './tape';
export { decodeBase64, encodeBase64Lines } from './base64';
export { canonicalLines, scanLines } from './lines';
export { runJobs } from './pfx';
export { decryptCbc } from './cbc';
export { unwrapPkcs1 } from './rsaunwrap';
export { unwrapOaep } from './oaep';
