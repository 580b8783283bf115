/**
 * Attacks on messages that come in chunks: what costs far more than its length, and what a stream would accept that is
 * refused in memory. Costs are held to a heap that the attack would fill; the built library runs in it.
 */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';

/** Old objects of V8 may take so much: a worker that needs more is ended. */
const HEAP_MB = 64;

/**
 * Runs a function of the built library on a stream, with a small heap.
 * @param octets JavaScript of a generator's body, which yields the octets
 * @returns `ok`, or the code of the error
 */
function withSmallHeap(operation: string, octets: string): Promise<string> {
  const source = `
    const { parentPort } = require('node:worker_threads');
    const octets = async function* () { ${octets} };
    import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)})
      .then((mailseal) => mailseal.${operation}(octets(), { trust: [], spool: { memory: 1 << 21 } }))
      .then(async (result) => { for await (const chunk of result); return 'ok'; })
      .then((result) => parentPort.postMessage(result), (error) => parentPort.postMessage(error.code ?? String(error)));`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('what costs more than its length', () => {
  it('a header that comes octet by octet is not copied for each of them', async () => {
    const message = `
      const header = 'X-Long: ' + ('y'.repeat(70) + '\\r\\n ').repeat(14_000) + '\\r\\n\\r\\n';
      for (const octet of Buffer.from(header)) yield Uint8Array.of(octet);
      for (let i = 0; i < 20; i++) yield new Uint8Array(1 << 17).fill(0x41);`;
    expect(await withSmallHeap('compress', message)).toBe('ok');
  });

  it('a message in millions of tiny chunks takes no more memory than another', async () => {
    const message = `
      yield Buffer.from('Content-Type: text/plain\\r\\n\\r\\n');
      for (let i = 0; i < 2_000_000; i++) yield Uint8Array.of(0x41);`;
    expect(await withSmallHeap('compress', message)).toBe('ok');
  });

  it('millions of values beside the content take the memory of their octets', async () => {
    const nulls = `
      yield Buffer.from('308006092a864886f70d010702a08030800201013180', 'hex'); // SignedData, up to digestAlgorithms
      for (let i = 0; i < 100; i++) yield Buffer.alloc(80_000, Buffer.from('0500', 'hex'));`;
    expect(await withSmallHeap('verify', nulls)).toBe('LIMIT_RECORDS');
  });
});
