/** asn1js: DER to its objects. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as asn1js from 'asn1js';

const { version } = createRequire(import.meta.url)('asn1js/package.json');

export async function create() {
  return {
    version,
    tape(file) {
      const der = new Uint8Array(readFileSync(file)).buffer;
      return () => {
        const { offset, result } = asn1js.fromBER(der, { maxNodes: 100_000 });
        if (offset !== der.byteLength) throw new Error(`asn1js: ${result.error}`);
        return result;
      };
    },
  };
}
