/**
 * Mail: sign (clear-signed, SHA-256), verify (with the path to the CA), encrypt (AES-256-CBC, RSA), decrypt. mailseal
 * and the C program turn mail octets into mail octets; node-forge and pkijs have no MIME, so they start and end with
 * bare CMS in DER, which spares them base64 and line ends. The bare parts stand in bare.ts.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestAndCipherCases, rsaCases } from './bare.js';
import type { Inputs, MailInputs } from './inputs.js';
import { MAILSEAL, mailseal } from './mailseal.js';
import type { Case, Group } from './measure.js';
import type { Rival } from './rivals.js';
import { assertResult, type Peers } from './subject.js';

type Output = Uint8Array | Promise<Uint8Array>;

/** The jobs of one implementation on the mail of one size; one is missing where it can't do it. */
interface Operations {
  impl: string;
  version: string;
  /** What `sign` and `encrypt` write, in the words of `openssl cms -inform`. */
  form: 'SMIME' | 'DER';
  sign?: () => Output;
  verify?: () => Promise<boolean>;
  encrypt?: () => Output;
  decrypt?: () => Output;
}

/** One group a size: the operations of a size and their bare parts meet the same machine. */
export async function smimeGroups({ inputs, native, rivals }: Peers): Promise<Group[]> {
  const groups: Group[] = [];
  for (const mail of inputs.mails) {
    const { size, plain, signed, encrypted } = mail;
    const { caPem, certificatePem, keyPem } = inputs;
    const own = await checkedCases(await mailsealOperations(inputs, mail), inputs, mail);
    const others: Case[] = [];
    for (const rival of rivals)
      others.push(...(await checkedCases(rivalOperations(rival, mail), inputs, mail)));
    const peers: Record<string, Group> = {
      sign: native('sign', `sign ${size}`, plain.path, certificatePem, keyPem, caPem),
      verify: native('verify', `verify ${size}`, signed.path, caPem, plain.path),
      encrypt: native('encrypt', `encrypt ${size}`, plain.path, certificatePem, keyPem),
      decrypt: native('decrypt', `decrypt ${size}`, encrypted.path, certificatePem, keyPem, plain.path),
    };
    const group = own.flatMap((item): Group => {
      const verb = item.job.slice(0, item.job.indexOf(' '));
      return [item, ...(peers[verb] ?? []), ...others.filter(({ job }) => job === item.job)];
    });
    // Next to `sign`, which must come close to the private operation.
    if (mail === inputs.mails[0]) group.splice(1, 0, ...rsaCases(inputs));
    groups.push([...group, ...digestAndCipherCases(mail)]);
  }
  return groups;
}

function mailsealOperations(inputs: Inputs, { plain, signed, encrypted }: MailInputs): Operations {
  const certificate = mailseal.Certificate.parse(inputs.certificate.bytes);
  const privateKey = mailseal.PrivateKey.parse(inputs.key.bytes);
  const ca = mailseal.Certificate.parse(inputs.ca.bytes);
  const keys = mailseal.keyRing({ entries: [{ privateKey, certificate }] });
  return {
    ...MAILSEAL,
    form: 'SMIME',
    sign: () => mailseal.sign(plain.bytes, { signers: [{ privateKey, certificate }] }),
    verify: async () => (await mailseal.verify(signed.bytes, { trust: [ca] })).valid,
    encrypt: () => mailseal.encrypt(plain.bytes, { recipients: [certificate], cipher: 'aes256-cbc' }),
    decrypt: async () => (await mailseal.decrypt(encrypted.bytes, { keys })).content,
  };
}

function rivalOperations(rival: Rival, mail: MailInputs): Operations {
  const { impl, version, sign, verify, encrypt, decrypt, oaepOnly } = rival;
  const message = oaepOnly ? mail.encryptedOaepDer : mail.encryptedDer;
  return {
    impl,
    version,
    form: 'DER',
    ...(sign && { sign: sign(mail.plain.bytes) }),
    ...(verify && { verify: verify(mail.signedDer.bytes, mail.plain.bytes) }),
    ...(encrypt && { encrypt: encrypt(mail.plain.bytes) }),
    ...(decrypt && { decrypt: decrypt(message.bytes) }),
  };
}

/** Cases of what an implementation can do, each checked first: by the `openssl` command where it writes a message. */
async function checkedCases(operations: Operations, inputs: Inputs, mail: MailInputs): Promise<Case[]> {
  const { impl, version, form, sign, verify, encrypt, decrypt } = operations;
  const { certificatePem, keyPem, caPem, folder } = inputs;
  const cases: Case[] = [];

  const add = (verb: string, right: boolean, run: () => unknown): void => {
    const job = `${verb} ${mail.size}`;
    assertResult(right, job, impl);
    cases.push({ job, impl, version, run });
  };
  const isPlain = (content: Uint8Array): boolean => bodyOf(content).equals(bodyOf(mail.plain.bytes));
  const openssl = (message: Uint8Array, ...options: string[]): Uint8Array => {
    const output = join(folder, 'checked');
    writeFileSync(join(folder, 'to-check'), message);
    execFileSync(
      'openssl',
      ['cms', '-inform', form, '-in', join(folder, 'to-check'), '-out', output, ...options],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    return readFileSync(output);
  };

  if (sign !== undefined) {
    const content = form === 'DER' ? ['-binary', '-content', mail.plain.path] : [];
    openssl(await sign(), '-verify', '-CAfile', caPem, ...content);
    add('sign', true, sign); // the command fails unless it verifies
  }
  if (verify !== undefined) add('verify', await verify(), verify);
  if (encrypt !== undefined) {
    const content = openssl(await encrypt(), '-decrypt', '-recip', certificatePem, '-inkey', keyPem);
    add('encrypt', isPlain(content), encrypt);
  }
  if (decrypt !== undefined) add('decrypt', isPlain(await decrypt()), decrypt);
  return cases;
}

/** What follows the header: mailseal leaves the fields of a mail, such as From, outside what it encrypts. */
function bodyOf(entity: Uint8Array): Buffer {
  const bytes = Buffer.from(entity);
  return bytes.subarray(bytes.indexOf('\r\n\r\n'));
}
