/** The jobs, by the groups that are measured together, with what the C program needs to do them. */
import type { BatchInput } from './batches.js';
import { IMPORT_JOBS, type ImportJob, importName, MANY_FILES } from './import.js';
import type { Inputs, MailInputs } from './inputs.js';
import { ENCRYPT_TO_MANY, toMany, withGcm } from './mail.js';
import { IN_MEMORY, STREAMED, type Streamed, streamed } from './stream.js';

export interface Job {
  name: string;
  /** The C program's operation and its arguments. */
  native?: readonly [operation: string, ...args: string[]];
  imports?: ImportJob;
}

/** What a run can be limited to. */
export const SUBJECTS = ['der', 'pfx', 'import', 'mail', 'lookup'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** A job and the bare operations that are its limit stand in one group: they meet the same machine. */
export interface Group {
  subject: Subject;
  /** How often everybody takes a turn. */
  rounds: number;
  jobs: Job[];
}

const ROUNDS = 5;
/** Of mails whose targets are a few hundredths beside a bare operation: both need a quiet moment of the machine. */
const CLOSE_ROUNDS = 10;
/** Where an operation takes seconds. */
const LONG_ROUNDS = 3;

export function jobGroups(inputs: Inputs): Group[] {
  const { der, certificate, pfx, batches, mails, longMails } = inputs;
  const group = (subject: Subject, jobs: Job[], rounds = ROUNDS): Group => ({ subject, rounds, jobs });
  return [
    ...der.values.map(({ name, file }) => group('der', [{ name: `tape ${name}`, native: ['walk', file] }])),
    group('der', [{ name: 'tape batch', native: ['walk-pack', der.certificates] }]),
    group('der', [{ name: 'certificate', native: ['certificate', certificate] }]),
    ...pfx.map(({ name, file }) => group('pfx', [{ name: `pfx ${name}`, native: ['pfx', file] }])),
    ...pfx.map(({ name }) =>
      group('pfx', batches.filter(({ shape }) => shape === name).map(batchJob), LONG_ROUNDS),
    ),
    group('import', IMPORT_JOBS.filter(({ files }) => files < MANY_FILES).map(importJob), LONG_ROUNDS),
    group('import', IMPORT_JOBS.filter(({ files }) => files >= MANY_FILES).map(importJob), 1),
    ...mails.map((mail, index) =>
      group('mail', mailJobs(mail, inputs, index === 0), index === 0 ? CLOSE_ROUNDS : ROUNDS),
    ),
    ...longMails.map(({ size }) => group('mail', longMailJobs(size), LONG_ROUNDS)),
    group('lookup', [{ name: 'lookup' }]),
  ];
}

function batchJob({ job, pack }: BatchInput): Job {
  return { name: job, native: ['pfx-pack', pack] };
}

const importJob = (imports: ImportJob): Job => ({ name: importName(imports), imports });

function mailJobs(
  { size, plain, signed, encrypted, encryptedGcm }: MailInputs,
  { caPem, certificatePem, keyPem, recipients }: Inputs,
  smallest: boolean,
): Job[] {
  const verify = ['verify', signed, caPem, plain] as const;
  const stream = (verb: Streamed): Job[] => (size === IN_MEMORY ? [{ name: streamed(verb, size) }] : []);
  return [
    { name: `sign ${size}`, native: ['sign', plain, certificatePem, keyPem, caPem] },
    ...stream('sign'),
    // Next to the job that must come close to the private operation.
    ...(smallest ? [{ name: 'rsa-2048 private' }, { name: 'rsa-2048 public' }] : []),
    { name: `verify ${size}`, native: verify },
    ...stream('verify'),
    ...(smallest ? [{ name: `verify-new ${size}`, native: verify }] : []),
    { name: `encrypt ${size}`, native: ['encrypt', plain, certificatePem, keyPem] },
    ...stream('encrypt'),
    ...(smallest
      ? [
          { name: toMany(size), native: ['encrypt', plain, certificatePem, keyPem, recipients] as const },
          { name: ENCRYPT_TO_MANY },
        ]
      : []),
    { name: `decrypt ${size}`, native: ['decrypt', encrypted, certificatePem, keyPem, plain] },
    ...stream('decrypt'),
    ...(size === IN_MEMORY
      ? [
          { name: withGcm('encrypt', size), native: ['encrypt-gcm', plain, certificatePem, keyPem] as const },
          {
            name: withGcm('decrypt', size),
            native: ['decrypt', encryptedGcm, certificatePem, keyPem, plain] as const,
          },
          { name: `aes-256-gcm encrypt ${size}` },
          { name: `aes-256-gcm decrypt ${size}` },
        ]
      : []),
    ...bareJobs(size),
  ];
}

/** Of mailseal alone, with the limits. */
function longMailJobs(size: string): Job[] {
  return [
    ...STREAMED.flatMap((verb) => [{ name: `${verb} ${size}` }, { name: streamed(verb, size) }]),
    ...bareJobs(size),
  ];
}

const bareJobs = (size: string): Job[] =>
  ['sha-256', 'aes-256-cbc encrypt', 'aes-256-cbc decrypt', 'base64 encode', 'base64 decode'].map((bare) => ({
    name: `${bare} ${size}`,
  }));
