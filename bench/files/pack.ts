/** A pack: many small files as one, each behind its length in four octets, big-endian. native/libcrypto.c reads it too. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Appears under its name when it is whole. */
export function writePack(path: string, files: readonly Uint8Array[]): void {
  const partial = `${path}.${process.pid}`;
  writeFileSync(
    partial,
    Buffer.concat(
      files.flatMap((file) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(file.length);
        return [length, file];
      }),
    ),
  );
  renameSync(partial, path);
}

export function readPack(path: string): Buffer[] {
  const pack = readFileSync(path);
  const files: Buffer[] = [];
  for (let at = 0; at < pack.length; ) {
    const end = at + 4 + pack.readUInt32BE(at);
    if (end > pack.length) throw new RangeError(`${path} was cut`);
    files.push(pack.subarray(at + 4, end));
    at = end;
  }
  return files;
}
