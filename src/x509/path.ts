/**
 * Certification path building and validation (RFC 5280 section 6 core rules; building after RFC 4158): from a
 * certificate up to one of the caller's trust anchors. Every rule is checked while a path grows, so a path that reaches
 * an anchor is valid; where one candidate issuer fails, the next is tried. pathrules.ts has the rules, and what is not
 * built and therefore refused. Certificates of a message are `intermediates`, never anchors.
 * Not built: revocation, policies, name constraints. Used by S/MIME verification and, for recipients, by its callers.
 */
import { equal } from '../bytes.js';
import type { Certificate } from './certificate.js';
import {
  checkCertificate,
  checkEndEntity,
  checkIssuer,
  checkSignature,
  checkSignatureAlgorithm,
  describe,
  guarded,
  PATH_FAILURES,
  type PathPurpose,
  type PathReason,
  sha1Weakness,
} from './pathrules.js';

export type { PathFailure, PathPurpose, PathReason } from './pathrules.js';

/**
 * The search is exponential where an attacker makes many CAs of one name, each signed by all others. These bound it, as
 * in rustls-webpki, well above what any real hierarchy takes.
 */
const MAX_SIGNATURES = 100;
const MAX_STEPS = 10_000;
const MAX_PATH_LENGTH = 16;
const MAX_INTERMEDIATES = 1_000;

/** What searches may still cost. Give one to all that one message asks for: it can have many signers. */
export class PathBudget {
  /** Signatures to verify; one that a certificate is known to match costs nothing. */
  signatures = MAX_SIGNATURES;
  /** Candidate issuers to look at. */
  steps = MAX_STEPS;
}

export interface PathOptions {
  /** Trust anchors. A certificate that is itself in the list needs no issuer. */
  readonly trust: readonly Certificate[];
  /** Certificates that may stand between, in any order, from any source. */
  readonly intermediates?: readonly Certificate[];
  /** The moment for which the path is to be valid. */
  readonly now: Date;
  readonly purpose: PathPurpose;
  /** Accept certificates signed with SHA-1, which is reported in `weaknesses`. MD2 and MD5 are never accepted. */
  readonly allowSha1?: boolean;
  /** CRLs to check against; a path is not trusted if any is given, since revocation is not built. */
  readonly crls?: readonly unknown[];
  /** Shared with other calls, and drawn on. Default: one for this call. */
  readonly budget?: PathBudget;
}

export interface PathResult {
  readonly trusted: boolean;
  /** Set exactly if not trusted: the most specific of the failures that the search met. */
  readonly reason?: PathReason;
  /** From the certificate to the trust anchor; if not trusted, as far as the path of `reason` came. */
  readonly path: readonly Certificate[];
  /** What a trusted path was accepted with that a stricter caller would refuse. */
  readonly weaknesses: readonly PathReason[];
}

/** Whether there is a valid path to a trust anchor. @throws TypeError for a date that is none; never for a certificate */
export function validatePath(certificate: Certificate, options: PathOptions): PathResult {
  if (Number.isNaN(options.now.getTime())) throw new TypeError('now must be a valid Date');
  const { now, purpose, trust } = options;
  const refuse = (reason: PathReason): PathResult => ({
    trusted: false,
    reason,
    path: [certificate],
    weaknesses: [],
  });
  const failure = guarded(
    certificate,
    () => checkCertificate(certificate, now) ?? checkEndEntity(certificate, purpose),
  );
  if (failure !== undefined) return refuse(failure);
  if ((options.crls?.length ?? 0) > 0) {
    return refuse({
      code: 'REVOCATION_NOT_CHECKED',
      message: 'CRLs were given, and checking them is not built',
    });
  }
  if ((options.intermediates?.length ?? 0) > MAX_INTERMEDIATES) {
    return refuse({ code: 'LIMIT', message: `more than ${MAX_INTERMEDIATES} intermediate certificates` });
  }
  if (trust.some((anchor) => anchor.equals(certificate))) {
    return { trusted: true, path: [certificate], weaknesses: [] };
  }
  const weak = guarded(certificate, () => checkSignatureAlgorithm(certificate, options.allowSha1 ?? false));
  return weak === undefined ? new Search(options).run(certificate) : refuse(weak);
}

interface Candidate {
  readonly certificate: Certificate;
  readonly isAnchor: boolean;
}

/** One certificate of the path that is being built, and the issuers that are still to be tried for it. */
interface Step {
  readonly certificate: Certificate;
  readonly candidates: readonly Candidate[];
  next: number;
  /** Intermediate certificates that are not self-issued, up to and with this one. */
  readonly below: number;
}

class Search {
  readonly #options: PathOptions;
  readonly #steps: Step[] = [];
  readonly #pool: readonly Candidate[];
  /** Results of signatures, by issuer and then by what it signed: another path may ask again. */
  readonly #signatures = new Map<Certificate, Map<Certificate, PathReason | undefined>>();
  readonly #budget: PathBudget;
  #worst: { rank: number; reason: PathReason; path: readonly Certificate[] } | undefined;

  constructor(options: PathOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new PathBudget();
    const anchors = options.trust.map((certificate) => ({ certificate, isAnchor: true }));
    const others = (options.intermediates ?? [])
      .filter((other) => !options.trust.some((anchor) => anchor.equals(other)))
      .map((certificate) => ({ certificate, isAnchor: false }));
    this.#pool = [...anchors, ...others];
  }

  run(certificate: Certificate): PathResult {
    this.#push(certificate, 0);
    for (let step = this.#steps.at(-1); step !== undefined; step = this.#steps.at(-1)) {
      const candidate = step.candidates[step.next++];
      if (candidate === undefined) {
        this.#steps.pop();
        continue;
      }
      if (this.#budget.steps === 0 || this.#budget.signatures === 0) {
        this.#note({ code: 'LIMIT', message: 'the search for a path took more than its budget' });
        break;
      }
      this.#budget.steps--;
      const reason = this.#examine(step, candidate);
      if (reason !== undefined) this.#note(reason, candidate.certificate);
      else if (candidate.isAnchor) return this.#trusted(candidate.certificate);
      else this.#push(candidate.certificate, step.below + (candidate.certificate.isSelfIssued ? 0 : 1));
    }
    const { reason, path } = this.#worst as { reason: PathReason; path: readonly Certificate[] };
    return { trusted: false, reason, path, weaknesses: [] };
  }

  /** Makes a certificate, which has passed every check of its own, the top of the path. */
  #push(certificate: Certificate, below: number): void {
    if (this.#steps.length === MAX_PATH_LENGTH) {
      this.#note({ code: 'LIMIT', message: `a path of more than ${MAX_PATH_LENGTH} certificates` });
      return;
    }
    const candidates: Candidate[] = [];
    this.#steps.push({ certificate, candidates, next: 0, below });
    candidates.push(...this.#issuersOf(certificate));
    if (candidates.length === 0) {
      const what = certificate.isSelfIssued
        ? 'self-issued, and no trust anchor'
        : `no certificate of its issuer, ${certificate.issuer.describe()}`;
      this.#note({ code: 'NO_PATH', message: `${describe(certificate)}: ${what}` });
    }
  }

  /** Names chained (6.1.3 (a)(4)); the likeliest first. One that cannot be read is no candidate. */
  #issuersOf(certificate: Certificate): Candidate[] {
    const ranked: { candidate: Candidate; rank: number }[] = [];
    for (const candidate of this.#pool) {
      const unreadable = guarded(candidate.certificate, () => {
        if (!candidate.certificate.subject.equals(certificate.issuer)) return undefined;
        if (this.#isOnPath(candidate.certificate)) return undefined;
        const rank = identifierRank(certificate, candidate.certificate) + (candidate.isAnchor ? 0 : 1);
        ranked.push({ candidate, rank });
        return undefined;
      });
      if (unreadable !== undefined) this.#note(unreadable, candidate.certificate);
    }
    return ranked.sort((a, b) => a.rank - b.rank).map(({ candidate }) => candidate);
  }

  /** A CA that stands on the path already, by name and key (RFC 4158 section 5.2): cross-certificates make cycles. */
  #isOnPath(certificate: Certificate): boolean {
    return this.#steps.some(
      (step) =>
        step.certificate.subject.equals(certificate.subject) &&
        step.certificate.publicKey.equals(certificate.publicKey),
    );
  }

  /** The signature comes first: what else is wrong with a namesake of the issuer is of no interest. */
  #examine(step: Step, { certificate: issuer, isAnchor }: Candidate): PathReason | undefined {
    const { now, allowSha1 = false } = this.#options;
    return (
      this.#verify(step.certificate, issuer) ??
      guarded(
        issuer,
        () =>
          checkCertificate(issuer, now) ??
          checkIssuer(issuer, isAnchor, step.below) ??
          (isAnchor ? undefined : checkSignatureAlgorithm(issuer, allowSha1)),
      )
    );
  }

  #verify(certificate: Certificate, issuer: Certificate): PathReason | undefined {
    let results = this.#signatures.get(issuer);
    if (results === undefined) {
      results = new Map();
      this.#signatures.set(issuer, results);
    }
    if (!results.has(certificate)) {
      results.set(
        certificate,
        guarded(certificate, () => checkSignature(certificate, issuer, this.#budget)),
      );
    }
    return results.get(certificate);
  }

  #note(reason: PathReason, last?: Certificate): void {
    const rank = PATH_FAILURES.indexOf(reason.code);
    if (this.#worst !== undefined && rank <= this.#worst.rank) return;
    this.#worst = { rank, reason, path: this.#path(last) };
  }

  #path(last?: Certificate): Certificate[] {
    const path = this.#steps.map((step) => step.certificate);
    return last === undefined ? path : [...path, last];
  }

  #trusted(anchor: Certificate): PathResult {
    const path = this.#path(anchor);
    const weaknesses = path
      .slice(0, -1)
      .map(sha1Weakness)
      .filter((weakness) => weakness !== undefined);
    return { trusted: true, path, weaknesses };
  }
}

/** RFC 4158 section 3.5.12: a hint of what to try first, which decides nothing. Lower is likelier. */
function identifierRank(certificate: Certificate, issuer: Certificate): number {
  const { keyIdentifier, authorityCertSerialNumber: serial } = certificate.authorityKeyIdentifier ?? {};
  const own = issuer.subjectKeyIdentifier;
  if (keyIdentifier !== undefined && own !== undefined) return equal(keyIdentifier, own) ? 0 : 4;
  return serial !== undefined && !equal(serial, issuer.serialNumber) ? 4 : 2;
}
