/**
 * RC2 (RFC 2268) and RC4, which OpenSSL 3 no longer has: plain references, written from the RFC's text for encrypting
 * what the kernels decrypt. test/legacy-ciphers.test.ts holds them to the published vectors.
 */

/** RFC 2268 section 2. */
const PITABLE = Buffer.from(
  'd978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2' +
    '179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82' +
    '54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626' +
    '6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7' +
    '08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec' +
    'c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731' +
    '2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9' +
    '0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad',
  'hex',
);

export class RC2 {
  readonly #k: number[];

  constructor(key: Uint8Array, bits: number) {
    const l = [...key];
    const pi = (value: number): number => PITABLE[value & 0xff] as number;
    const at = (i: number): number => l[i] as number;
    for (let i = key.length; i < 128; i++) l[i] = pi(at(i - 1) + at(i - key.length));
    const t8 = Math.ceil(bits / 8);
    const tm = 255 % 2 ** (8 + bits - 8 * t8);
    l[128 - t8] = pi(at(128 - t8) & tm);
    for (let i = 127 - t8; i >= 0; i--) l[i] = pi(at(i + 1) ^ at(i + t8));
    this.#k = Array.from({ length: 64 }, (_, i) => at(2 * i) + 256 * at(2 * i + 1));
  }

  encryptBlock(block: Uint8Array): Buffer {
    const r = [0, 1, 2, 3].map((i) => (block[2 * i] as number) + 256 * (block[2 * i + 1] as number));
    const word = (i: number): number => r[(i + 4) % 4] as number;
    let j = 0;
    const mix = (): void => {
      [1, 2, 3, 5].forEach((s, i) => {
        const sum =
          word(i) + (this.#k[j++] as number) + (word(i - 1) & word(i - 2)) + (~word(i - 1) & word(i - 3));
        const value = sum & 0xffff;
        r[i] = ((value << s) | (value >> (16 - s))) & 0xffff;
      });
    };
    const mash = (): void => {
      for (let i = 0; i < 4; i++) r[i] = (word(i) + (this.#k[word(i - 1) & 63] as number)) & 0xffff;
    };
    for (let i = 0; i < 5; i++) mix();
    mash();
    for (let i = 0; i < 6; i++) mix();
    mash();
    for (let i = 0; i < 5; i++) mix();
    return Buffer.from(r.flatMap((value) => [value & 255, value >> 8]));
  }

  encryptCbc(iv: Uint8Array, blocks: Uint8Array): Buffer {
    const out: Buffer[] = [];
    let previous = iv;
    for (let at = 0; at < blocks.length; at += 8) {
      previous = this.encryptBlock(previous.map((octet, i) => octet ^ (blocks[at + i] as number)));
      out.push(previous as Buffer);
    }
    return Buffer.concat(out);
  }
}

export function rc4(key: Uint8Array, data: Uint8Array): Buffer {
  const s = Array.from({ length: 256 }, (_, i) => i);
  const at = (i: number): number => s[i] as number;
  const swap = (i: number, j: number): void => {
    [s[i], s[j]] = [at(j), at(i)];
  };
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + at(i) + (key[i % key.length] as number)) % 256;
    swap(i, j);
  }
  let i = 0;
  let j = 0;
  return Buffer.from(
    data.map((octet) => {
      i = (i + 1) % 256;
      j = (j + at(i)) % 256;
      swap(i, j);
      return octet ^ at((at(i) + at(j)) % 256);
    }),
  );
}
