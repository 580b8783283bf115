/**
 * NIST PKITS 1.0.1 (the 2011 certificates) against path.ts. The sections whose rules are built, 4.1 to 4.3, 4.6, 4.7 and
 * the certificate part of 4.16, must come out exactly, with the intermediate certificates that PKITS lists and with all
 * of PKITS' certificates at once. Of the sections whose rules are not built, 4.8 to 4.13, no path that PKITS calls
 * invalid may be accepted. 4.4, 4.5, 4.14 and 4.15 are about revocation: with their CRLs given, none is accepted at all.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Certificate } from '../src/x509/certificate.js';
import { type PathFailure, type PathResult, validatePath } from '../src/x509/path.js';
import { readVector, vectorPath } from './helpers/vectors.js';

const NOW = new Date('2015-06-01T00:00:00Z');
const ROOT = 'TrustAnchorRootCertificate';

const files = readdirSync(vectorPath('nist-pkits', 'certs')).map((file) => file.replace(/\.crt$/, ''));
const certificates = new Map(
  files.map((file) => [file, Certificate.parse(readVector('nist-pkits', `certs/${file}.crt`))]),
);
const load = (file: string) => certificates.get(file) as Certificate;
const everyCa = files.filter((file) => !file.endsWith('EE') && file !== ROOT).map(load);

function validate(file: string, intermediates: readonly Certificate[], crls?: Uint8Array[]): PathResult {
  return validatePath(load(file), {
    trust: [load(ROOT)],
    intermediates,
    now: NOW,
    purpose: 'emailProtection',
    ...(crls && { crls }),
  });
}

/** Test, end entity without `EE`, intermediates without `Cert`; what PKITS expects, or the reason of our refusal. */
type Row = readonly [test: string, endEntity: string, intermediates: string, expected: 'valid' | PathFailure];

const EXACT: readonly Row[] = [
  ['4.1.1', 'ValidCertificatePathTest1', 'GoodCA', 'valid'],
  ['4.1.2', 'InvalidCASignatureTest2', 'BadSignedCA', 'MALFORMED'], // its BIT STRING has unused bits
  ['4.1.3', 'InvalidEESignatureTest3', 'GoodCA', 'SIGNATURE_INVALID'],
  // PKITS: valid. DSA signatures are not built.
  ['4.1.4', 'ValidDSASignaturesTest4', 'DSACA', 'UNSUPPORTED_ALGORITHM'],
  ['4.1.5', 'ValidDSAParameterInheritanceTest5', 'DSAParametersInheritedCA DSACA', 'UNSUPPORTED_ALGORITHM'],
  ['4.1.6', 'InvalidDSASignatureTest6', 'DSACA', 'UNSUPPORTED_ALGORITHM'],
  ['4.2.1', 'InvalidCAnotBeforeDateTest1', 'BadnotBeforeDateCA', 'NOT_YET_VALID'],
  ['4.2.2', 'InvalidEEnotBeforeDateTest2', 'GoodCA', 'NOT_YET_VALID'],
  ['4.2.3', 'Validpre2000UTCnotBeforeDateTest3', 'GoodCA', 'valid'],
  ['4.2.4', 'ValidGeneralizedTimenotBeforeDateTest4', 'GoodCA', 'valid'],
  ['4.2.5', 'InvalidCAnotAfterDateTest5', 'BadnotAfterDateCA', 'EXPIRED'],
  ['4.2.6', 'InvalidEEnotAfterDateTest6', 'GoodCA', 'EXPIRED'],
  ['4.2.7', 'Invalidpre2000UTCEEnotAfterDateTest7', 'GoodCA', 'EXPIRED'],
  ['4.2.8', 'ValidGeneralizedTimenotAfterDateTest8', 'GoodCA', 'valid'],
  ['4.3.1', 'InvalidNameChainingTest1', 'GoodCA', 'NO_PATH'],
  ['4.3.2', 'InvalidNameChainingOrderTest2', 'NameOrderingCA', 'NO_PATH'],
  ['4.3.3', 'ValidNameChainingWhitespaceTest3', 'GoodCA', 'valid'],
  ['4.3.4', 'ValidNameChainingWhitespaceTest4', 'GoodCA', 'valid'],
  ['4.3.5', 'ValidNameChainingCapitalizationTest5', 'GoodCA', 'valid'],
  ['4.3.6', 'ValidNameUIDsTest6', 'UIDCA', 'valid'],
  ['4.3.7', 'ValidRFC3280MandatoryAttributeTypesTest7', 'RFC3280MandatoryAttributeTypesCA', 'valid'],
  ['4.3.8', 'ValidRFC3280OptionalAttributeTypesTest8', 'RFC3280OptionalAttributeTypesCA', 'valid'],
  ['4.3.9', 'ValidUTF8StringEncodedNamesTest9', 'UTF8StringEncodedNamesCA', 'valid'],
  [
    '4.3.10',
    'ValidRolloverfromPrintableStringtoUTF8StringTest10',
    'RolloverfromPrintableStringtoUTF8StringCA',
    'valid',
  ],
  ['4.3.11', 'ValidUTF8StringCaseInsensitiveMatchTest11', 'UTF8StringCaseInsensitiveMatchCA', 'valid'],
  ['4.6.1', 'InvalidMissingbasicConstraintsTest1', 'MissingbasicConstraintsCA', 'NOT_CA'],
  ['4.6.2', 'InvalidcAFalseTest2', 'basicConstraintsCriticalcAFalseCA', 'NOT_CA'],
  ['4.6.3', 'InvalidcAFalseTest3', 'basicConstraintsNotCriticalcAFalseCA', 'NOT_CA'],
  ['4.6.4', 'ValidbasicConstraintsNotCriticalTest4', 'basicConstraintsNotCriticalCA', 'valid'],
  ['4.6.5', 'InvalidpathLenConstraintTest5', 'pathLenConstraint0CA pathLenConstraint0subCA', 'PATH_LENGTH'],
  ['4.6.6', 'InvalidpathLenConstraintTest6', 'pathLenConstraint0CA pathLenConstraint0subCA', 'PATH_LENGTH'],
  ['4.6.7', 'ValidpathLenConstraintTest7', 'pathLenConstraint0CA', 'valid'],
  ['4.6.8', 'ValidpathLenConstraintTest8', 'pathLenConstraint0CA', 'valid'],
  [
    '4.6.9',
    'InvalidpathLenConstraintTest9',
    'pathLenConstraint6CA pathLenConstraint6subCA0 pathLenConstraint6subsubCA00',
    'PATH_LENGTH',
  ],
  [
    '4.6.10',
    'InvalidpathLenConstraintTest10',
    'pathLenConstraint6CA pathLenConstraint6subCA0 pathLenConstraint6subsubCA00',
    'PATH_LENGTH',
  ],
  [
    '4.6.11',
    'InvalidpathLenConstraintTest11',
    'pathLenConstraint6CA pathLenConstraint6subCA1 pathLenConstraint6subsubCA11 pathLenConstraint6subsubsubCA11X',
    'PATH_LENGTH',
  ],
  [
    '4.6.12',
    'InvalidpathLenConstraintTest12',
    'pathLenConstraint6CA pathLenConstraint6subCA1 pathLenConstraint6subsubCA11 pathLenConstraint6subsubsubCA11X',
    'PATH_LENGTH',
  ],
  [
    '4.6.13',
    'ValidpathLenConstraintTest13',
    'pathLenConstraint6CA pathLenConstraint6subCA4 pathLenConstraint6subsubCA41 pathLenConstraint6subsubsubCA41X',
    'valid',
  ],
  [
    '4.6.14',
    'ValidpathLenConstraintTest14',
    'pathLenConstraint6CA pathLenConstraint6subCA4 pathLenConstraint6subsubCA41 pathLenConstraint6subsubsubCA41X',
    'valid',
  ],
  [
    '4.6.15',
    'ValidSelfIssuedpathLenConstraintTest15',
    'pathLenConstraint0CA pathLenConstraint0SelfIssuedCA',
    'valid',
  ],
  [
    '4.6.16',
    'InvalidSelfIssuedpathLenConstraintTest16',
    'pathLenConstraint0CA pathLenConstraint0SelfIssuedCA pathLenConstraint0subCA2',
    'PATH_LENGTH',
  ],
  [
    '4.6.17',
    'ValidSelfIssuedpathLenConstraintTest17',
    'pathLenConstraint1CA pathLenConstraint1SelfIssuedCA pathLenConstraint1subCA pathLenConstraint1SelfIssuedsubCA',
    'valid',
  ],
  [
    '4.7.1',
    'InvalidkeyUsageCriticalkeyCertSignFalseTest1',
    'keyUsageCriticalkeyCertSignFalseCA',
    'KEY_USAGE',
  ],
  [
    '4.7.2',
    'InvalidkeyUsageNotCriticalkeyCertSignFalseTest2',
    'keyUsageNotCriticalkeyCertSignFalseCA',
    'KEY_USAGE',
  ],
  ['4.7.3', 'ValidkeyUsageNotCriticalTest3', 'keyUsageNotCriticalCA', 'valid'],
  // 4.7.4 and 4.7.5 are about the CRL's signature.
  ['4.16.1', 'ValidUnknownNotCriticalCertificateExtensionTest1', '', 'valid'],
  ['4.16.2', 'InvalidUnknownCriticalCertificateExtensionTest2', '', 'CRITICAL_EXTENSION'],
];

describe('4.1 to 4.3, 4.6, 4.7, 4.16: exactly', () => {
  test.each(EXACT)('%s %s', (_, endEntity, names, expected) => {
    const listed = names === '' ? [] : names.split(' ').map((name) => load(`${name}Cert`));
    const one = validate(`${endEntity}EE`, listed);
    expect(one.reason?.code ?? 'valid').toBe(expected);
    expect(one.trusted).toBe(expected === 'valid');
    if (one.trusted) {
      // Every intermediate that PKITS lists is needed, and the path ends at the anchor.
      expect(new Set(one.path)).toEqual(new Set([load(`${endEntity}EE`), ...listed, load(ROOT)]));
      expect(one.path).toHaveLength(listed.length + 2);
    }
    const among = validate(`${endEntity}EE`, everyCa);
    expect(among.trusted).toBe(expected === 'valid');
    expect(among.reason?.code).toBe(one.reason?.code);
    expect(validate(`${endEntity}EE`, [...everyCa].reverse()).trusted).toBe(expected === 'valid');
  });
});

/** The sections by what the files' names hold; the invalid ones that are not called so, by PKITS' text. */
const NOT_BUILT = /policy|policies|nameConstraints|PolicyMapping/i;
const INVALID_UNNAMED = [
  'DifferentPoliciesTest4EE', // 4.8.4
  'DifferentPoliciesTest5EE', // 4.8.5
  'DifferentPoliciesTest7EE', // 4.8.7
  'DifferentPoliciesTest8EE', // 4.8.8
  'DifferentPoliciesTest9EE', // 4.8.9
  'DifferentPoliciesTest12EE', // 4.8.12
];
const invalid = files.filter(
  (file) => file.startsWith('Invalid') && file.endsWith('EE') && NOT_BUILT.test(file),
);

describe('4.8 to 4.13: rules that are not built are refused by name', () => {
  test('the table is whole', () => {
    // 4.9: 4, 4.10: 5, 4.11: 8, 4.12: 6, 4.13: 22
    expect(invalid).toHaveLength(45);
  });

  test.each([...invalid, ...INVALID_UNNAMED])('%s', (file) => {
    for (const pool of [everyCa, [...everyCa].reverse()]) {
      const result = validate(file, pool);
      expect(result.trusted).toBe(false);
      expect(result.reason?.code).toMatch(/^(?:POLICIES|NAME_CONSTRAINTS)_NOT_CHECKED$/);
    }
  });

  test('a valid path that needs one of them is refused too, and nothing else is the reason', () => {
    const valid = files.filter((file) => file.startsWith('Valid') && NOT_BUILT.test(file));
    expect(valid.length).toBeGreaterThan(30);
    for (const file of valid) {
      expect(validate(file, everyCa).reason?.code ?? 'trusted', file).toMatch(/_NOT_CHECKED$/);
    }
  });
});

test('CRLs that are given are not passed over: no path of all PKITS is trusted with them', () => {
  const endEntities = files.filter((file) => file.endsWith('EE'));
  expect(endEntities).toHaveLength(223);
  for (const file of endEntities) {
    expect(validate(file, everyCa, [Uint8Array.of(0x30, 0)]).trusted, file).toBe(false);
  }
});
