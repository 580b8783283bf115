/**
 * A message between threads with all its octets in one buffer, which is transferred. Structured clone would copy the
 * whole of any buffer that a view is on, and pays for each buffer more than for many views.
 * Used by threads.ts and worker.ts.
 */

export interface Packed<T> {
  readonly message: T;
  readonly buffer: ArrayBuffer;
}

/** A copy of plain data; nothing of it shares memory with the original. */
export function pack<T>(message: T): Packed<T> {
  const buffer = new ArrayBuffer(octetsIn(message));
  const target = new Uint8Array(buffer);
  let at = 0;
  const copied = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Uint8Array) {
      target.set(value, at);
      at += value.length;
      return target.subarray(at - value.length, at);
    }
    if (Array.isArray(value)) return value.map(copied);
    const copy: Record<string, unknown> = {};
    for (const key in value) copy[key] = copied((value as Record<string, unknown>)[key]);
    return copy;
  };
  return { message: copied(message) as T, buffer };
}

function octetsIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (value instanceof Uint8Array) return value.length;
  let length = 0;
  for (const key in value) length += octetsIn((value as Record<string, unknown>)[key]);
  return length;
}
