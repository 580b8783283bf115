/**
 * Reads many PFX files (PKCS#12, RFC 7292) in one call, on one thread. Each file goes through the same plan as in
 * read.ts, and comes to the same result; but a round of many files is one call into WASM, so that the derivations of
 * all of them fill the four lanes. Memory stays flat: only so many files are open at a time, and one that is done makes
 * room for the next. Called by the importer and by users of the library.
 */
import { assertBytes } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { LaneLoad, type PbeJobs, runJobs } from '../pbe/jobs.js';
import type { PbeResults } from '../wasm.js';
import { checkedCost, type PfxOptions, PfxPlan } from './plan.js';
import { contentsOf, type PfxContents } from './read.js';

/**
 * Files that are open at a time. A few fill the lanes; more are opened while one has chains of iterations so long that
 * the lanes would wait for it, such as Firefox's 600,000 among the 2,048 of others.
 */
const OPEN_FILES = { least: 64, most: 1024 };
/** Octets of the files that are open at a time, unless it is only one: WASM memory never shrinks. */
const OPEN_OCTETS = 1 << 23;

export interface PfxBatchInput {
  /** The whole file, BER or DER; nothing of the result refers to it. */
  bytes: Uint8Array;
  /** May be empty, which stands for no password too. */
  password: string;
}

export type PfxResult = { ok: true; contents: PfxContents } | { ok: false; error: MailsealError };

/** A file that waits for the results of its jobs. */
interface OpenFile {
  readonly index: number;
  readonly octets: number;
  readonly plan: PfxPlan;
  jobs: PbeJobs;
}

/**
 * What is wrong with a file stands in its own result, and never changes another's.
 * @returns one result for each input, in order: the contents that {@link readPfx} would return, or the error that it
 *   would throw. INTERNAL is a bug of mailseal that the file brought to light
 * @throws TypeError, RangeError for arguments
 */
export function readPfxBatch(inputs: readonly PfxBatchInput[], options: PfxOptions = {}): PfxResult[] {
  checkArguments(inputs, options);
  const results = new Array<PfxResult>(inputs.length);
  let open: OpenFile[] = [];
  let octets = 0;
  let next = 0;
  for (;;) {
    const load = new LaneLoad();
    for (const { jobs } of open) load.add(jobs);
    for (; next < inputs.length && open.length < OPEN_FILES.most; next++) {
      const { bytes, password } = inputs[next] as PfxBatchInput;
      if (open.length >= OPEN_FILES.least && load.isEven) break;
      if (open.length > 0 && octets + bytes.length > OPEN_OCTETS) break;
      const file = openFile(next, bytes, password, options);
      if ('ok' in file) results[next] = file;
      else {
        open.push(file);
        octets += bytes.length;
        load.add(file.jobs);
      }
    }
    if (open.length === 0) return results;
    const round = runRound(open);
    open = open.filter((file, i) => {
      const result = goOn(file, round[i] as RoundResult);
      if (result === undefined) return true;
      results[file.index] = result;
      octets -= file.octets;
      return false;
    });
  }
}

function checkArguments(inputs: readonly PfxBatchInput[], { maxCost }: PfxOptions): void {
  if (!Array.isArray(inputs)) throw new TypeError('inputs must be an array');
  for (const [i, input] of inputs.entries()) {
    if (typeof input !== 'object' || input === null) throw new TypeError(`inputs[${i}] must be an object`);
    assertBytes(input.bytes, `inputs[${i}].bytes`);
    if (typeof input.password !== 'string') throw new TypeError(`inputs[${i}].password must be a string`);
  }
  checkedCost(maxCost);
}

function openFile(
  index: number,
  bytes: Uint8Array,
  password: string,
  options: PfxOptions,
): OpenFile | PfxResult {
  let plan: PfxPlan;
  try {
    plan = new PfxPlan(bytes, password, options);
  } catch (error) {
    return failed(error);
  }
  const step = nextStep(plan, () => {});
  return 'ok' in step ? step : { index, octets: bytes.length, plan, jobs: step };
}

/** What a round gave one file: its part of the results, or why its jobs could not be run. */
type RoundResult = PbeResults | { error: unknown };

/** One call for the jobs of all files; if they can't be run together, each on its own, as readPfx would run them. */
function runRound(files: readonly OpenFile[]): RoundResult[] {
  try {
    const { decrypted, macs } = runJobs(
      files.flatMap(({ jobs }) => jobs.decrypts),
      files.flatMap(({ jobs }) => jobs.macs),
    );
    return files.map(({ jobs }) => ({
      decrypted: decrypted.splice(0, jobs.decrypts.length),
      macs: macs.splice(0, jobs.macs.length),
    }));
  } catch (error) {
    return files.length === 1 ? [{ error }] : files.flatMap((file) => runRound([file]));
  }
}

/** Gives a file the results of its round: undefined if it needs another one. */
function goOn(file: OpenFile, round: RoundResult): PfxResult | undefined {
  const step = nextStep(file.plan, () => {
    if ('error' in round) throw round.error;
    file.plan.take(round);
  });
  if ('ok' in step) return step;
  file.jobs = step;
  return undefined;
}

/** What comes after `take`: the jobs of another round, or the result of the file, whose secrets are wiped then. */
function nextStep(plan: PfxPlan, take: () => void): PbeJobs | PfxResult {
  try {
    take();
    const jobs = plan.jobs();
    if (jobs !== undefined) return jobs;
    const contents = contentsOf(plan.bags);
    plan.wipe();
    return { ok: true, contents };
  } catch (error) {
    plan.wipeKeys();
    plan.wipe();
    return failed(error);
  }
}

function failed(cause: unknown): PfxResult {
  const error =
    cause instanceof MailsealError ? cause : new MailsealError('INTERNAL', String(cause), { cause });
  return { ok: false, error };
}
