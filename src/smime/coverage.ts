/**
 * Which octets of a mail a signature covers, and which not («Johnny, you are fooled», USENIX Security 2019: text beside
 * a signed part that readers show as if it were signed). Called by verify.ts.
 */
import type { SmimeInput } from './input.js';
import { type MimeEntity, type Range, subPath, tolerant } from './mime.js';

/** A part of a mail, and its octets in it: header and body; of a part that holds a CMS object the body. */
export interface PartRange extends Range {
  /** Place in the tree as in IMAP (RFC 3501 section 6.4.5): `2.1` is the first part of the second. */
  path: string;
  /** Media type, in lower case; empty if the part's header can't be read. */
  type: string;
}

export interface Coverage {
  /**
   * What the signature is over: of multipart/signed the first part, exactly as it stands in the mail; of an opaque message
   * the part that holds the CMS object with the content. Undefined of a CMS object, which is not a mail.
   */
  covered?: PartRange;
  uncovered: {
    /** Octets before the first part and behind the last, of all multiparts around what is covered. Few readers show them. */
    preamble: number;
    epilogue: number;
    /** Parts that nobody signed, such as the footer of a mailing list. */
    parts: PartRange[];
  };
}

export function coverage({ mail, smimeEntity, signedEntity, path = '' }: SmimeInput): Coverage {
  const uncovered: Coverage['uncovered'] = { preamble: 0, epilogue: 0, parts: [] };
  if (mail === undefined || smimeEntity === undefined) return { uncovered };
  const addAround = (part: MimeEntity) => {
    const { preamble, epilogue } = part.multipart();
    uncovered.preamble += preamble.end - preamble.start;
    uncovered.epilogue += epilogue.end - epilogue.start;
  };
  const visit = (part: MimeEntity, path: string): void => {
    if (part === smimeEntity) {
      if (signedEntity !== undefined) addAround(part);
      return;
    }
    const parts = partsOf(part);
    if (parts.length === 0) uncovered.parts.push(partRange(part, path, part.start));
    else addAround(part);
    parts.forEach((child, i) => void visit(child, subPath(path, i + 1)));
  };
  visit(mail, '');
  const covered =
    signedEntity === undefined
      ? partRange(smimeEntity, path === '' ? '1' : path, smimeEntity.bodyStart)
      : partRange(signedEntity, subPath(path, 1), signedEntity.start);
  return { covered, uncovered };
}

/** The parts of a multipart; of everything else, and of one that is broken, none. */
function partsOf(entity: MimeEntity): readonly MimeEntity[] {
  return tolerant(() => (entity.isMultipart ? entity.multipart().parts : []), []);
}

function partRange(entity: MimeEntity, path: string, start: number): PartRange {
  return { path, type: tolerant(() => entity.contentType.type, ''), start, end: entity.end };
}
