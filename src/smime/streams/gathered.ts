/** Octets gathered from chunks into one array. Called by multipart.ts and prepare.ts, which bound its length. */

export class Gathered {
  private octets = Buffer.alloc(0);
  private used = 0;

  get length(): number {
    return this.used;
  }

  /** All so far. A view, good until more is added. */
  get bytes(): Buffer {
    return this.octets.subarray(0, this.used);
  }

  add(octets: Uint8Array): void {
    const length = this.used + octets.length;
    if (length > this.octets.length) {
      const larger = Buffer.allocUnsafe(length * 2);
      larger.set(this.bytes);
      this.octets = larger;
    }
    this.octets.set(octets, this.used);
    this.used = length;
  }
}
