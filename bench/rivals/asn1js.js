/** asn1js: DER to its objects. */
import { createRequire } from 'node:module';
import * as asn1js from 'asn1js';

const { version } = createRequire(import.meta.url)('asn1js/package.json');

export async function create() {
  return {
    version,
    tape(bytes) {
      const der = new Uint8Array(bytes).buffer;
      return () => {
        const { offset, result } = asn1js.fromBER(der, { maxNodes: 100_000 });
        if (offset !== der.byteLength) throw new Error(`asn1js: ${result.error}`);
        return result;
      };
    },
  };
}
