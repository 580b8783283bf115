/** The whole ABI of dist/core.wasm. */
export { reserve, wipe } from './memory';
export { parseTape } from './tape';
