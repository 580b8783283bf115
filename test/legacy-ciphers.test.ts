/** The references that the kernels' tests rest on, against the RFCs' vectors. */
import { describe, expect, it } from 'vitest';
import { RC2, rc4 } from './helpers/legacy-ciphers.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('RC2, RFC 2268 section 5', () => {
  it.each([
    [63, '00000000 00000000', '00000000 00000000', 'ebb773f9 93278eff'],
    [64, 'ffffffff ffffffff', 'ffffffff ffffffff', '278b27e4 2e2f0d49'],
    [64, '30000000 00000000', '10000000 00000001', '30649edf 9be7d2c2'],
    [64, '88', '00000000 00000000', '61a8a244 adacccf0'],
    [64, '88bca90e 90875a', '00000000 00000000', '6ccf4308 974c267f'],
    [64, '88bca90e 90875a7f 0f79c384 627bafb2', '00000000 00000000', '1a807d27 2bbe5db1'],
    [128, '88bca90e 90875a7f 0f79c384 627bafb2', '00000000 00000000', '2269552a b0f85ca6'],
    [
      129,
      '88bca90e 90875a7f 0f79c384 627bafb2 16f80a6f 85920584 c42fceb0 be255daf 1e',
      '00000000 00000000',
      '5b78d3a4 3dfff1f1',
    ],
  ])('%i effective bits, key %s', (bits, key, plain, expected) => {
    expect(new RC2(hex(key), bits).encryptBlock(hex(plain))).toEqual(hex(expected));
  });
});

describe('RC4, RFC 6229 section 2', () => {
  it.each([
    ['0102030405', 'b2396305 f03dc027 ccc3524a 0a1118a8', '6982944f 18fc82d5 89c403a4 7a0d0919'],
    ['01020304050607', '293f02d4 7f37c9b6 33f2af52 85feb46b', 'e620f139 0d19bd84 e2e0fd75 2031afc1'],
    ['0102030405060708', '97ab8a1b f0afb961 32f2f672 58da15a8', '8263efdb 45c4a186 84ef87e6 b19e5b09'],
    [
      '0102030405060708090a0b0c0d0e0f10',
      '9ac7cc9a 609d1ef7 b2932899 cde41b97',
      '5248c495 9014126a 6e8a84f1 1d1a9e1c',
    ],
  ])('key %s', (key, at0, at16) => {
    expect(rc4(hex(key), new Uint8Array(32))).toEqual(hex(at0 + at16));
  });
});
