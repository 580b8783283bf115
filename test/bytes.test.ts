/** Comparing octets: what is short is compared in another way than what is long. */
import { expect, it } from 'vitest';
import { compare, equal } from '../src/bytes.js';

it.each([0, 1, 63, 64, 65, 1000])('octets are equal, or differ in any one of %i', (length) => {
  const octets = new Uint8Array(length).map((_, i) => i);
  const others = new Uint8Array(length + 2);
  others.set(octets, 1);
  const same = others.subarray(1, length + 1); // in other memory, and not where that begins
  expect(equal(octets, same)).toBe(true);
  expect(equal(octets, Buffer.from(octets))).toBe(true);
  expect(equal(octets, others.subarray(1))).toBe(false);
  expect(compare(octets, same)).toBe(0);
  expect(compare(octets, others.subarray(1))).toBeLessThan(0);
  for (let at = 0; at < length; at++) {
    const changed = octets.map((octet, i) => (i === at ? octet ^ 1 : octet));
    expect(equal(octets, changed)).toBe(false);
    expect(Math.sign(compare(octets, changed))).toBe(Math.sign(Buffer.compare(octets, changed)));
  }
});
