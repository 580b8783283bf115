/**
 * DER to a tree or tape, and decoding a certificate. The bound of the first is the C program's walk over the same
 * headers with ASN1_get_object, which keeps nothing.
 */
import { MAILSEAL, mailseal } from './mailseal.js';
import type { Case, Group } from './measure.js';
import type { CertificateFacts } from './rivals.js';
import { assertResult, type Peers } from './subject.js';

export function tapeGroups({ inputs, native, rivals }: Peers): Group[] {
  const structures = [
    { job: 'tape certificate', input: inputs.certificate },
    { job: 'tape 100 KB', input: inputs.structure },
  ];
  const groups = structures.map(({ job, input: { path, bytes } }): Group => {
    assertResult(mailseal.parseDer(bytes).end === bytes.length, job, MAILSEAL.impl);
    return [
      { job, ...MAILSEAL, run: () => mailseal.parseDer(bytes) },
      ...native('walk', job, path),
      ...rivals.flatMap(({ impl, version, parse }): Case[] => {
        return parse === undefined ? [] : [{ job, impl, version, run: parse(bytes) }];
      }),
    ];
  });
  return [...groups, certificateGroup({ inputs, native, rivals })];
}

function certificateGroup({ inputs, native, rivals }: Peers): Group {
  const job = 'certificate';
  const { path, bytes } = inputs.certificate;
  const decode = (): CertificateFacts => {
    const { subject, issuer, serialNumber, notAfter, publicKey } = mailseal.Certificate.parse(bytes);
    return {
      commonName: subject.rdns.flat().find(({ name }) => name === 'CN')?.value ?? '',
      issuer: issuer.rdns,
      serial: Buffer.from(serialNumber).toString('hex'),
      notAfter,
      modulusLength: publicKey.modulusLength ?? 0,
    };
  };
  const operations = [
    { ...MAILSEAL, run: decode },
    ...rivals.flatMap(({ impl, version, certificate }) => {
      return certificate === undefined ? [] : [{ impl, version, run: certificate(bytes) }];
    }),
  ];
  const end = decode().notAfter.getTime();
  return operations.flatMap(({ impl, version, run }, index): Group => {
    const { commonName, serial, notAfter, modulusLength } = run();
    const right = commonName === 'Alice' && serial === '1a2b3c4d5e6f7081' && modulusLength === 2048;
    assertResult(right && notAfter.getTime() === end, job, impl);
    const own: Case = { job, impl, version, run };
    return index === 0 ? [own, ...native('certificate', job, path)] : [own];
  });
}
