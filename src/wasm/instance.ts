/**
 * The instance of dist/core.wasm, its arena and the views on its memory. With its neighbours here and wasm.ts, which
 * is what the layers above import, all that knows WebAssembly. Everything is synchronous, and a call is: base =
 * reserve(0) · reserve and copy in (place) · kernel · copy out · core.wipe(base) in `finally`, so that nothing of a call stays
 * in WASM memory.
 */
import { readFileSync } from 'node:fs';
import { MailsealError } from '../errors.js';

// Neither lib.es2023 nor @types/node 20 declares what we use of it, and lib.dom would declare far more.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module);
    readonly exports: object;
  }
}

interface Core {
  readonly memory: { readonly buffer: ArrayBuffer };
  reserve(size: number): number;
  wipe(base: number): void;
  startTape(state: number, length: number, tape: number, first: number, maxDepth: number): void;
  parseTape(
    state: number,
    base: number,
    known: number,
    length: number,
    tapeEnd: number,
    mode: number,
  ): number;
  parseTapes(
    state: number,
    jobs: number,
    count: number,
    tape: number,
    tapeEnd: number,
    first: number,
    maxDepth: number,
    maxRecords: number,
    mode: number,
  ): number;
  encodeBase64Lines(input: number, length: number, output: number): number;
  decodeBase64(input: number, length: number, output: number, state: number): number;
  scanLines(input: number, length: number, state: number): void;
  canonicalLines(input: number, length: number, output: number): number;
  runJobs(
    derivations: number,
    derivationCount: number,
    macs: number,
    macCount: number,
    decryptions: number,
    decryptionCount: number,
  ): number;
  decryptCbc(
    cipher: number,
    key: number,
    keyLength: number,
    bits: number,
    iv: number,
    data: number,
    length: number,
  ): number;
  unwrapPkcs1(em: number, emLength: number, output: number, keyLength: number): void;
  unwrapOaep(
    em: number,
    emLength: number,
    hash: number,
    hashLength: number,
    mask: number,
    output: number,
    keyLength: number,
  ): void;
}

// The same path from src/wasm/ (tests, benchmarks) and from dist/wasm/ (the package).
const module_ = new WebAssembly.Module(readFileSync(new URL('../../dist/core.wasm', import.meta.url)));
export const core = new WebAssembly.Instance(module_).exports as unknown as Core;

/** The whole memory. Renewed when it grows: read it again after a `reserve` or a kernel. */
export let octets = new Uint8Array(core.memory.buffer);
export let words = new Uint32Array(core.memory.buffer);

/** Renews the views if memory has grown under them. Kernels that reserve make this necessary too. */
export function renewViews(): void {
  // Growing detaches them, which leaves them empty. Asking for memory.buffer would cost more than a small parse.
  if (octets.length === 0) {
    octets = new Uint8Array(core.memory.buffer);
    words = new Uint32Array(core.memory.buffer);
  }
}

/** Reserves octets in the arena.
 * @throws MailsealError LIMIT_LENGTH if memory is exhausted */
export function reserve(size: number): number {
  const pointer = size < 0xffff_0000 ? core.reserve(size) >>> 0 : 0;
  if (pointer === 0) throw new MailsealError('LIMIT_LENGTH', `${size} octets do not fit in memory`);
  renewViews();
  return pointer;
}

/** Reserves octets for these and copies them in.
 * @throws MailsealError LIMIT_LENGTH if memory is exhausted */
export function place(bytes: Uint8Array): number {
  const pointer = reserve(bytes.length);
  octets.set(bytes, pointer);
  return pointer;
}
