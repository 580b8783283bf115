/** PFX decryption in WASM (assembly/aes.ts, des.ts, rc2.ts, rc4.ts) against node:crypto and plain references. */
import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type DecryptJob, type Derivation, runPbeJobs } from '../src/wasm.js';
import { expectZeroArena, octetsOf, pkcs12, pkcs12Reference } from './helpers/derivation.js';
import { RC2, rc4 } from './helpers/legacy-ciphers.js';

describe('ciphers', () => {
  const derive = (id: 1 | 2, length: number): Derivation =>
    pkcs12('sha1', id, length, 'password', '0102030405060708', 3);
  const keyOf = (length: number): Buffer => pkcs12Reference(derive(1, length));
  const ivOf = (length: number): Buffer => pkcs12Reference(derive(2, length));
  /** Encrypts whole blocks with node:crypto. */
  const native = (name: string, key: Buffer, iv: Buffer, blocks: Buffer): Buffer => {
    const cipher = createCipheriv(name, key, iv).setAutoPadding(false);
    return Buffer.concat([cipher.update(blocks), cipher.final()]);
  };
  const pad = (data: Buffer, block: number): Buffer => {
    const padding = block - (data.length % block);
    return Buffer.concat([data, Buffer.alloc(padding, padding)]);
  };

  interface Row {
    name: string;
    job: Omit<DecryptJob, 'data'>;
    block: number;
    encrypt(blocks: Buffer): Buffer;
  }
  const blockCipher = (
    name: string,
    cipher: DecryptJob['cipher'],
    keyLength: number,
    block: number,
    encrypt: (key: Buffer, iv: Buffer, blocks: Buffer) => Buffer,
    effectiveKeyBits?: number,
  ): Row => ({
    name,
    job: {
      cipher,
      key: derive(1, keyLength),
      iv: derive(2, block),
      ...(effectiveKeyBits === undefined ? {} : { effectiveKeyBits }),
    },
    block,
    encrypt: (blocks) => encrypt(keyOf(keyLength), ivOf(block), blocks),
  });
  const rc2 = (keyLength: number, bits: number): Row =>
    blockCipher(
      `RC2, ${keyLength} octets, ${bits} bits`,
      'rc2-cbc',
      keyLength,
      8,
      (key, iv, blocks) => new RC2(key, bits).encryptCbc(iv, blocks),
      bits,
    );
  const rows: Row[] = [
    ...[16, 24, 32].map((length) =>
      blockCipher(`AES-${length * 8}`, 'aes-cbc', length, 16, (key, iv, blocks) =>
        native(`aes-${length * 8}-cbc`, key, iv, blocks),
      ),
    ),
    blockCipher('Triple DES, 3 keys', 'des-ede3-cbc', 24, 8, (key, iv, blocks) =>
      native('des-ede3-cbc', key, iv, blocks),
    ),
    blockCipher('Triple DES, 2 keys', 'des-ede3-cbc', 16, 8, (key, iv, blocks) =>
      native('des-ede-cbc', key, iv, blocks),
    ),
    // OpenSSL 3 has no DES; three equal keys make Triple DES of it.
    blockCipher('DES', 'des-cbc', 8, 8, (key, iv, blocks) =>
      native('des-ede3-cbc', Buffer.concat([key, key, key]), iv, blocks),
    ),
    rc2(5, 40),
    rc2(8, 64),
    rc2(16, 128),
    rc2(16, 40),
    rc2(16, 63),
    rc2(1, 1),
    rc2(33, 129),
    rc2(128, 1024),
  ];

  describe.each(rows)('$name', ({ job, block, encrypt }) => {
    it('every length up to 300 octets, in one call', () => {
      const plain = Array.from({ length: 300 }, (_, length) => octetsOf(length, length));
      const jobs = plain.map((data): DecryptJob => ({ ...job, data: encrypt(pad(data, block)) }));
      const { decrypted } = runPbeJobs(jobs, []);
      const hex = decrypted.map((result) => result.ok && Buffer.from(result.data).toString('hex'));
      expect(hex).toEqual(plain.map((data) => data.toString('hex')));
      expectZeroArena();
    });

    it('an IV that is given', () => {
      const iv = ivOf(block);
      const data = encrypt(pad(octetsOf(100, 1), block));
      const [result] = runPbeJobs([{ ...job, iv, data }], []).decrypted;
      expect(result).toEqual({ ok: true, data: new Uint8Array(octetsOf(100, 1)) });
    });

    it('padding: right for 1 to a block and all octets equal, wrong for every other last octet', () => {
      const values = Array.from({ length: 256 }, (_, value) => value);
      const jobs = values.map((value): DecryptJob => {
        const blocks = octetsOf(3 * block, 7);
        blocks.fill(value, 3 * block - Math.max(1, Math.min(value, 2 * block)));
        return { ...job, data: encrypt(blocks) };
      });
      const results = runPbeJobs(jobs, []).decrypted;
      expect(results.map((result) => (result.ok ? result.data.length : 'refused'))).toEqual(
        values.map((value) => (value >= 1 && value <= block ? 3 * block - value : 'refused')),
      );
    });

    it('padding: one octet of it wrong, at every place of every length', () => {
      const jobs: DecryptJob[] = [];
      for (let padding = 2; padding <= block; padding++) {
        for (let at = 2; at <= padding; at++) {
          const blocks = octetsOf(2 * block, 8).fill(padding, 2 * block - padding);
          blocks[2 * block - at] = (blocks[2 * block - at] as number) ^ 1;
          jobs.push({ ...job, data: encrypt(blocks) });
        }
      }
      expect(runPbeJobs(jobs, []).decrypted).toEqual(jobs.map(() => ({ ok: false })));
      expectZeroArena();
    });

    it('data that are not whole blocks', () => {
      const lengths = [0, 1, block - 1, block + 1, 3 * block - 1];
      const jobs = lengths.map((length): DecryptJob => ({ ...job, data: octetsOf(length, 9) }));
      expect(runPbeJobs(jobs, []).decrypted).toEqual(lengths.map(() => ({ ok: false })));
    });

    it('refuses an IV of another length', () => {
      const data = encrypt(pad(octetsOf(20, 1), block));
      for (const iv of [new Uint8Array(block - 1), new Uint8Array(0), derive(2, block + 1)]) {
        expect(() => runPbeJobs([{ ...job, iv, data }], [])).toThrow(RangeError);
      }
      const { iv: _, ...without } = job;
      expect(() => runPbeJobs([{ ...without, data }], [])).toThrow(RangeError);
      expectZeroArena();
    });
  });

  it.each([1, 5, 16, 32, 255, 256])('RC4, key of %i octets', (length) => {
    const plain = [0, 1, 2, 255, 256, 257, 3000].map((size) => octetsOf(size, size));
    const jobs = plain.map(
      (data): DecryptJob => ({ cipher: 'rc4', key: derive(1, length), data: rc4(keyOf(length), data) }),
    );
    const { decrypted } = runPbeJobs(jobs, []);
    expect(decrypted).toEqual(plain.map((data) => ({ ok: true, data: new Uint8Array(data) })));
  });

  it.each<[DecryptJob['cipher'], number[]]>([
    ['aes-cbc', [1, 15, 17, 33, 64]],
    ['des-ede3-cbc', [8, 15, 23, 25, 32]],
    ['des-cbc', [7, 9, 16, 24]],
    ['rc2-cbc', [129]],
    ['rc4', [257]],
  ])('%s refuses key lengths that it does not have', (cipher, lengths) => {
    for (const length of lengths) {
      const job = {
        cipher,
        key: derive(1, length),
        iv: derive(2, cipher === 'aes-cbc' ? 16 : 8),
        data: new Uint8Array(16),
      };
      expect(() => runPbeJobs([job], []), `${length}`).toThrow(RangeError);
    }
    expectZeroArena();
  });

  it.each([0, 1025])('RC2 refuses %i effective bits', (effectiveKeyBits) => {
    const job: DecryptJob = {
      cipher: 'rc2-cbc',
      effectiveKeyBits,
      key: derive(1, 5),
      iv: derive(2, 8),
      data: new Uint8Array(8),
    };
    expect(() => runPbeJobs([job], [])).toThrow(RangeError);
  });
});
