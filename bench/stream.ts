/** Mails that come in chunks and go out in chunks: names of the jobs, what they are fed with, and how they are read. */

/** Octets of a chunk: those of a file that is read as a stream. */
const CHUNK = 1 << 16;

export const STREAMED = ['sign', 'verify', 'encrypt', 'decrypt'] as const;
export type Streamed = (typeof STREAMED)[number];

/** A size that as a stream still fits into memory: it is gathered, and goes the way of a mail that is all there. */
export const IN_MEMORY = '10 MB';
/** One that does not: a temporary file is used. */
export const LONG = '100 MB';

/** The job that does to a stream what `VERB SIZE` does to a mail that is all there. */
export const streamed = (verb: Streamed, size: string): string => `${verb} ${size}${STREAM}`;
/** How its name ends. */
export const STREAM = ', stream';

export type Chunks = AsyncIterable<Uint8Array>;

export async function* chunksOf(mail: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < mail.length; at += CHUNK) yield mail.subarray(at, at + CHUNK);
}

/** Reads a result to its end, as whoever sends it on does. Returns its octets. */
export async function drain(chunks: Chunks): Promise<number> {
  let octets = 0;
  for await (const { length } of chunks) octets += length;
  return octets;
}

export async function gather(chunks: Chunks): Promise<Uint8Array> {
  const gathered: Uint8Array[] = [];
  for await (const chunk of chunks) gathered.push(chunk);
  return Buffer.concat(gathered);
}
