/**
 * Mail: sign (clear-signed, SHA-256), verify (with the path to the CA), encrypt (AES-256-CBC, RSA), decrypt. mailseal
 * turns mail octets into mail octets; node-forge and pkijs have no MIME, so they start and end with bare CMS in DER,
 * which spares them base64 and line ends. Streams are for mailseal alone. The `openssl` command checks what is written.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertResult, type Implementation, type Jobs } from './implementation.js';
import { type Inputs, RECIPIENTS } from './inputs.js';
import { drain, gather, STREAMED, type Streamed, streamed } from './stream.js';

/** The job that does with AES-256-GCM what `VERB SIZE` does with AES-256-CBC. */
export const withGcm = (verb: 'encrypt' | 'decrypt', size: string): string => `${verb} ${size}${GCM}`;
/** How its name ends. */
export const GCM = ', AES-256-GCM';

/** The job that encrypts a mail to many, and the one that encrypts 32 octets with the key of each, RSAES-PKCS1-v1_5. */
export const toMany = (size: string): string => `encrypt ${size}, ${RECIPIENTS} recipients`;
export const ENCRYPT_TO_MANY = `rsa-2048 encrypt, ${RECIPIENTS} keys`;

export function mailJobs(implementation: Implementation, inputs: Inputs): Jobs {
  const { form } = implementation;
  const { certificatePem, keyPem, caPem, folder } = inputs;
  const jobs: Jobs = {};

  const openssl = (message: Uint8Array, ...options: string[]): Uint8Array => {
    const input = join(folder, 'to-check');
    const output = join(folder, 'checked');
    writeFileSync(input, message);
    const args = ['cms', '-inform', form, '-in', input, '-out', output, ...options];
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    return readFileSync(output);
  };

  const { streams } = implementation;
  for (const mail of [...inputs.mails, ...(streams === undefined ? [] : inputs.longMails)]) {
    const { size, plain } = mail;
    const isPlain = (content: Uint8Array): boolean => bodyOf(content).equals(bodyOf(readFileSync(plain)));
    const checkSigned = (message: Uint8Array): void => {
      const content = form === 'DER' ? ['-binary', '-content', plain] : [];
      openssl(message, '-verify', '-CAfile', caPem, ...content); // fails unless it verifies
    };
    const checkEncrypted = (message: Uint8Array): void => {
      assertResult(isPlain(openssl(message, '-decrypt', '-recip', certificatePem, '-inkey', keyPem)));
    };

    jobs[`sign ${size}`] = async () => {
      const sign = implementation.sign?.(mail);
      if (sign !== undefined) checkSigned(await sign());
      return sign;
    };
    jobs[`verify ${size}`] = async () => {
      const verify = implementation.verify?.(mail);
      if (verify !== undefined) assertResult(await verify());
      return verify;
    };
    jobs[`verify-new ${size}`] = async () => {
      const verify = await implementation.verifyNew?.(mail);
      if (verify !== undefined) assertResult(await verify());
      return verify;
    };
    const checked = async (encrypt: ReturnType<NonNullable<Implementation['encrypt']>> | undefined) => {
      if (encrypt !== undefined) checkEncrypted(await encrypt());
      return encrypt;
    };
    jobs[`encrypt ${size}`] = () => checked(implementation.encrypt?.(mail));
    jobs[toMany(size)] = () => checked(implementation.encryptMany?.(mail));
    const opened = async (decrypt: ReturnType<NonNullable<Implementation['decrypt']>> | undefined) => {
      if (decrypt !== undefined) assertResult(isPlain(await decrypt()));
      return decrypt;
    };
    jobs[`decrypt ${size}`] = () => opened(implementation.decrypt?.(mail));
    jobs[withGcm('encrypt', size)] = () => checked(implementation.encryptGcm?.(mail));
    jobs[withGcm('decrypt', size)] = () => opened(implementation.decryptGcm?.(mail));

    const checkPlain = (content: Uint8Array): void => assertResult(isPlain(content));
    const checks: Record<Streamed, (result: Uint8Array) => void> = {
      sign: checkSigned,
      verify: checkPlain,
      encrypt: checkEncrypted,
      decrypt: checkPlain,
    };
    for (const verb of STREAMED) {
      jobs[streamed(verb, size)] = async () => {
        const start = streams?.[verb](mail);
        if (start === undefined) return undefined;
        checks[verb](await gather(await start()));
        return async () => drain(await start());
      };
    }
  }
  return jobs;
}

/** What follows the header: mailseal leaves the fields of a mail, such as From, outside what it encrypts. */
function bodyOf(entity: Uint8Array): Buffer {
  const bytes = Buffer.from(entity);
  return bytes.subarray(bytes.indexOf('\r\n\r\n'));
}
