/** SubjectPublicKeyInfo (RFC 5280 4.1.2.7), written. Used by privatekey.ts, signature.ts, mldsa.ts, mlkem.ts and key agreement in CMS. */
import { type DerWriter, writeDer } from '../asn1/write.js';

/** @param bits content of subjectPublicKey @param algorithm writes the AlgorithmIdentifier */
export function writeSpki(bits: Uint8Array, algorithm: (w: DerWriter) => void): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      algorithm(w);
      w.bitString(bits);
    }),
  );
}
