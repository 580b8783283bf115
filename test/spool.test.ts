/** What a spool keeps is what it gives back, any range of it, and nobody else can read the file that it is in. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { concat, equal, release } from '../src/bytes.js';
import type { MailsealError } from '../src/errors.js';
import { Spool, type SpoolOptions } from '../src/spool.js';
import { failure } from './helpers/failures.js';

const directory = mkdtempSync(join(tmpdir(), 'spool-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

const linux = process.platform === 'linux';
const posix = process.platform !== 'win32';

/** Octets that say where they stand. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8) * 7 + (i >>> 16)) & 0xff);
}

const PATTERN = pattern(1_200_000);

async function filled(options: SpoolOptions, ...chunks: Uint8Array[]): Promise<Spool> {
  const spool = new Spool({ directory, ...options });
  for (const chunk of chunks) await spool.write(chunk);
  return spool;
}

async function all(octets: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of octets) parts.push(new Uint8Array(part));
  return concat(parts);
}

function inChunks(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
  return chunks;
}

/** Descriptors of temporary files: of this test's folder, also of those that have no name any more. */
function openFiles(): number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory) ? [Number(fd)] : [];
    } catch {
      return []; // that of readdir itself
    }
  });
}

describe('what is kept is given back', () => {
  for (const memory of [0, 1, 15, 16, 17, 1000, 1 << 16, 1 << 30]) {
    it(`${memory} octets in memory`, async () => {
      for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 999, 1000, 1001, 70_000, 1_200_000]) {
        for (const size of [1, 16, 4097, 1 << 16, 1 << 20].filter((size) => length / size < 10_000)) {
          const bytes = PATTERN.subarray(0, length);
          const spool = await filled({ memory }, ...inChunks(bytes, size));
          expect(spool.length).toBe(length);
          expect(equal(await all(spool.read()), bytes), `${length} in chunks of ${size}`).toBe(true);
          expect(equal(await all(spool.read()), bytes)).toBe(true);
          await spool.close();
        }
      }
    });
  }

  it('every range across the border of memory and file, and of blocks of the cipher', async () => {
    const spool = await filled({ memory: 40 }, ...inChunks(PATTERN.subarray(0, 120), 7));
    for (let start = 0; start <= 120; start++) {
      for (let end = start; end <= 120; end++) {
        expect(await all(spool.read(start, end)), `${start} to ${end}`).toEqual(PATTERN.subarray(start, end));
      }
    }
    expect(await all(spool.read(100))).toEqual(PATTERN.subarray(100, 120));
    await spool.close();
  });

  it('any range of what was written in any chunks', async () => {
    const border = [0, 1, 16, 40_000, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 300_000];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(150_000), { maxLength: 9 }),
        fc.constantFrom(...border),
        fc.array(fc.tuple(fc.nat(1_200_000), fc.nat(1_200_000)), { maxLength: 5 }),
        async (sizes, memory, ranges) => {
          let length = 0;
          const chunks = sizes.map((size) => {
            length += size;
            return PATTERN.subarray(length - size, length);
          });
          const spool = await filled({ memory }, ...chunks);
          for (const range of ranges) {
            const [start, end] = range.map((at) => at % (length + 1)).sort((a, b) => a - b) as [
              number,
              number,
            ];
            expect(equal(await all(spool.read(start, end)), PATTERN.subarray(start, end))).toBe(true);
          }
          await spool.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('small octets may be changed afterwards where they were copied, and views of Buffers are kept as they are', async () => {
    const pool = Buffer.from(PATTERN.subarray(0, 5000));
    const spool = await filled({ memory: 1 << 20 }, pool.subarray(100, 200), pool.subarray(200, 300));
    pool.fill(0);
    expect(await all(spool.read())).toEqual(PATTERN.subarray(100, 300));
    await spool.close();
  });

  it.each([false, true])('chunks that are lent; as ciphertext: %s', async (isCiphertext) => {
    for (const memory of [0, 100_000, 1 << 30]) {
      for (const size of [1000, 20_000, 1 << 16, 700_000]) {
        const chunks = inChunks(new Uint8Array(PATTERN), size);
        const spool = await filled({ memory, isCiphertext }, ...chunks);
        for (const [start, end] of [[0], [99_999, 1_100_001], [300_000, 300_001]] as const) {
          expect(equal(await all(spool.lend(start, end)), PATTERN.subarray(start, end))).toBe(true);
          expect(equal(await all(spool.read(start, end)), PATTERN.subarray(start, end))).toBe(true);
        }
        const kept: Uint8Array[] = [];
        for await (const chunk of spool.read()) kept.push(chunk);
        expect(equal(concat(kept), PATTERN)).toBe(true);
        await spool.close();
        expect(equal(concat(chunks), PATTERN)).toBe(true); // they are whoever wrote them's
      }
    }
  });

  it('what was lent is given back', async () => {
    const spool = await filled({ memory: 100 }, PATTERN);
    const lengths: number[] = [];
    const lent: Uint8Array[] = [];
    for await (const chunk of spool.lend(100)) {
      lengths.push(chunk.length);
      lent.push(chunk);
    }
    expect(lengths.every((length) => length > 0)).toBe(true);
    expect(lent.every(({ length }) => length === 0)).toBe(true);
    await spool.close();
  });

  it('several readers at once, and one that goes away', async () => {
    const spool = await filled({ memory: 100_000 }, ...inChunks(PATTERN, 50_000));
    const results = await Promise.all([
      all(spool.read()),
      all(spool.read(1)),
      all(spool.read(500_000, 900_000)),
    ]);
    expect(results.map((octets) => octets.length)).toEqual([1_200_000, 1_199_999, 400_000]);
    expect(equal(results[2] as Uint8Array, PATTERN.subarray(500_000, 900_000))).toBe(true);
    for await (const part of spool.read(100_000)) {
      expect(part.length).toBeGreaterThan(0);
      break;
    }
    expect(equal(await all(spool.read()), PATTERN)).toBe(true);
    await spool.close();
    if (linux) expect(openFiles()).toEqual([]);
  });

  it('waits for nothing while there is room in memory', async () => {
    const spool = new Spool({ memory: 10, directory: join(directory, 'not there') });
    expect(spool.write(pattern(10))).toBeUndefined();
    expect(await all(spool.read())).toEqual(pattern(10));
    await spool.close();
  });
});

it('memory that is given back is that of an array that has all of it', () => {
  const own = new Uint8Array(100);
  const view = new Uint8Array(new ArrayBuffer(100), 1);
  const shared = new Uint8Array(new SharedArrayBuffer(100));
  for (const octets of [own, view, shared, new Uint8Array()]) release(octets);
  expect([own.length, view.length, shared.length]).toEqual([0, 99, 100]);
});

describe('limits and faults', () => {
  it('over maxLength', async () => {
    for (const memory of [0, 5, 100]) {
      const spool = await filled({ memory, maxLength: 10 }, pattern(10));
      expect(await failure(() => spool.write(pattern(1)))).toMatchObject({
        code: 'LIMIT_LENGTH',
        message: 'over 10 octets to be kept, the limit (option maxLength)',
      });
      await spool.close();
    }
  });

  it('a folder that is not there', async () => {
    const where = join(directory, 'not there');
    const spool = new Spool({ memory: 3, directory: where });
    const error = await failure(() => spool.write(pattern(4)));
    expect(error).toMatchObject({
      code: 'IO',
      message: `a temporary file in ${where} can't be made: ENOENT`,
    });
    expect(await failure(() => spool.write(pattern(1)))).toMatchObject({ code: 'IO' });
    await spool.close();
  });

  it.runIf(linux)('a folder that may not be written to', async () => {
    // Root may write to any folder, but nobody to /proc.
    const where = process.getuid?.() === 0 ? '/proc' : join(directory, 'locked');
    if (where !== '/proc') mkdirSync(where);
    if (where !== '/proc') chmodSync(where, 0o500);
    const spool = new Spool({ memory: 0, directory: where });
    const error = await failure(() => spool.write(pattern(4)));
    expect(error).toMatchObject({ code: 'IO', message: expect.stringMatching(/can't be made: E[A-Z]+$/) });
    await spool.close();
  });

  /** Runs `use` in a file system of 1 MiB; false where this process may not mount one. */
  async function onSmallDisk(use: (small: string) => Promise<void>): Promise<boolean> {
    const small = join(directory, 'small');
    mkdirSync(small);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small], { stdio: 'ignore' });
    } catch {
      return false;
    }
    try {
      await use(small);
    } finally {
      execFileSync('umount', ['-l', small]);
    }
    return true;
  }

  it.runIf(linux)('a full disk', async (context) => {
    const mounted = await onSmallDisk(async (small) => {
      const spool = new Spool({ memory: 1000, directory: small });
      const error = await failure(async () => {
        for (let i = 0; i < 100; i++) await spool.write(PATTERN.subarray(0, 100_000));
        await all(spool.read());
      });
      expect(error).toMatchObject({
        code: 'IO',
        message: `a temporary file in ${small} can't be written: ENOSPC`,
      });
      expect(await failure(() => all(spool.read()))).toMatchObject({ code: 'IO' });
      await spool.close();
      // The room is there again.
      const next = await filled({ memory: 0, directory: small }, PATTERN.subarray(0, 900_000));
      expect(equal(await all(next.read()), PATTERN.subarray(0, 900_000))).toBe(true);
      await next.close();
      expect(readdirSync(small)).toEqual([]);
    });
    if (!mounted) context.skip('no file system can be mounted');
  });

  it('takes octets only', () => {
    expect(() => new Spool({ memory: 0 }).write('text' as never)).toThrow(TypeError);
  });
});

describe('the file', () => {
  it.runIf(posix)('has no name after the first write', async () => {
    const spool = new Spool({ memory: 100, directory });
    for (const chunk of inChunks(PATTERN.subarray(0, 600_000), 90_000)) {
      await spool.write(chunk);
      expect(readdirSync(directory).filter((name) => name.startsWith('mailseal-'))).toEqual([]);
    }
    expect(equal(await all(spool.read()), PATTERN.subarray(0, 600_000))).toBe(true);
    await spool.close();
    expect(readdirSync(directory).filter((name) => name.startsWith('mailseal-'))).toEqual([]);
  });

  it.runIf(linux)('holds no octets of the content, and others each time', async () => {
    const text = Buffer.from('A secret that would be found on the disk. '.repeat(20_000));
    const spools = [await filled({ memory: 10 }, text), await filled({ memory: 10 }, text)];
    for (const spool of spools) expect(equal(await all(spool.read()), text)).toBe(true);
    const onDisk = openFiles().map((fd) => readFileSync(`/proc/self/fd/${fd}`));
    expect(onDisk).toHaveLength(2);
    for (const octets of onDisk) {
      expect(octets).toHaveLength(text.length - 10);
      expect(octets.includes('secret')).toBe(false);
      // Two blocks of the cipher that are the same would say that something repeats.
      const blocks = new Set(inChunks(octets, 16).map((block) => Buffer.from(block).toString('hex')));
      expect(blocks.size).toBe(Math.ceil(octets.length / 16));
    }
    const hashes = onDisk.map((octets) => createHash('sha256').update(octets).digest('hex'));
    expect(new Set(hashes).size).toBe(2);
    for (const spool of spools) await spool.close();
  });

  it.runIf(linux)('holds ciphertext as it is', async () => {
    const spool = await filled({ memory: 10, isCiphertext: true }, PATTERN);
    expect(equal(await all(spool.read()), PATTERN)).toBe(true);
    const [onDisk] = openFiles().map((fd) => readFileSync(`/proc/self/fd/${fd}`));
    expect(equal(onDisk as Buffer, PATTERN.subarray(10))).toBe(true);
    await spool.close();
  });

  it.runIf(linux)('is gone after close, whatever went on', async () => {
    const spool = await filled({ memory: 10 }, PATTERN);
    expect(openFiles()).toHaveLength(1);
    await Promise.all([spool.close(), spool.close()]);
    await spool.close();
    expect(openFiles()).toEqual([]);
    const unread = new Spool({ memory: 10, directory });
    const written = failure(() => unread.write(PATTERN));
    await unread.close();
    expect(await written).toMatchObject({ code: 'IO' });
    expect(openFiles()).toEqual([]);
  });

  it('a read that is under way fails when it is closed; so does what comes after', async () => {
    for (const memory of [100, 300_000, 1 << 30]) {
      const spool = await filled({ memory }, ...inChunks(PATTERN, 70_000));
      const reader = spool.read();
      expect((await reader.next()).done).toBe(false);
      await spool.close();
      expect(await failure(() => reader.next())).toMatchObject({
        code: 'IO',
        message: 'what was kept of the message is gone: it was closed',
      });
      expect(await failure(() => all(spool.read()))).toMatchObject({ code: 'IO' });
      expect(await failure(() => spool.write(PATTERN))).toMatchObject({ code: 'IO' });
    }
    const spool = await filled({ memory: 0 }, PATTERN);
    const pending = spool.read().next();
    const closed = spool.close();
    const outcome = await pending.catch((error: MailsealError) => error);
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'IO' });
    await closed;
  });

  it('what was copied to memory is wiped; what was given out stays, and what was written is left alone', async () => {
    const made = vi.spyOn(Buffer, 'allocUnsafeSlow');
    const [few, many] = [pattern(100), pattern(100_000)];
    const spool = await filled({ memory: 1 << 20 }, few, many);
    const own = made.mock.results.map(({ value }) => value as Buffer);
    made.mockRestore();
    expect(own.some((octets) => equal(octets.subarray(0, 100), few))).toBe(true);
    const given = await spool.read().next();
    await spool.close();
    expect(own.every((octets) => octets.every((octet) => octet === 0))).toBe(true);
    expect((given.value as Uint8Array).subarray(0, 100)).toEqual(few);
    expect(few).toEqual(pattern(100));
    expect(equal(many, pattern(100_000))).toBe(true);
  });
});
