/**
 * Where inside a PFX something was read. A PFX wraps DER in OCTET STRINGs several deep, some of them cut into segments
 * or encrypted: an offset in such a part is one of the file only where the part's octets are the file's own. Used by
 * pfx/ only.
 */
import type { DerNode } from '../asn1/tape.js';
import { readOctets } from '../asn1/values.js';
import { MailsealError } from '../errors.js';

export class Part {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Offset of `bytes` in the file; undefined if they were joined or decrypted. */
  readonly base: number | undefined;

  constructor(name: string, bytes: Uint8Array, base: number | undefined) {
    this.name = name;
    this.bytes = bytes;
    this.base = base;
  }

  /** The octets of a string in this part, as a part of its own. @throws MailsealError ASN1_* */
  octets(node: DerNode, name: string): Part {
    return new Part(name, readOctets(node), node.constructed ? undefined : this.#offset(node.contentStart));
  }

  /** A value in this part, as a part of its own. */
  value(node: DerNode, name: string): Part {
    return new Part(name, node.bytes, this.#offset(node.start));
  }

  /** Runs `read` on this part; a MailsealError it throws is thrown on with the part's name and a true offset. */
  read<T>(read: (part: this) => T): T {
    try {
      return read(this);
    } catch (error) {
      throw error instanceof MailsealError ? this.locate(error) : error;
    }
  }

  /** @param error whose offset counts in this part */
  locate(error: MailsealError, code = error.code): MailsealError {
    const { message, offset, oid } = error;
    const at = offset === undefined ? undefined : this.#offset(offset);
    const inner = offset !== undefined && at === undefined ? `, octet ${offset} of it` : '';
    return new MailsealError(code, `${message} (in ${this.name}${inner})`, { offset: at, oid, cause: error });
  }

  #offset(offset: number): number | undefined {
    return this.base === undefined ? undefined : this.base + offset;
  }
}
