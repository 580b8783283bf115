/** mailseal: the built package, since that is what users run. Its types come from the sources: checks need no build. */
import { readFileSync } from 'node:fs';
import type { PfxContents } from '../src/index.js';
import { readPack } from './files/pack.js';
import { assertResult, type Implementation, type PfxCounts } from './implementation.js';
import type { Inputs } from './inputs.js';
import { mailsealLookup, rotate } from './lookup.js';
import { mailsOfNewSenders } from './senders.js';
import { chunksOf } from './stream.js';

const mailseal = (await import(
  new URL('../dist/index.js', import.meta.url).href
)) as typeof import('../src/index.js');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

function countsOf({ entries }: PfxContents): PfxCounts {
  return [entries.length, entries.filter((entry) => entry.certificate !== undefined).length];
}

export async function create(inputs: Inputs): Promise<Implementation> {
  const certificate = mailseal.Certificate.parse(readFileSync(inputs.certificate));
  const privateKey = mailseal.PrivateKey.parse(readFileSync(inputs.key));
  const ca = mailseal.Certificate.parse(readFileSync(inputs.ca));
  const keys = mailseal.keyRing({ entries: [{ privateKey, certificate }] });
  return {
    version,
    form: 'SMIME',
    tape: (der) => () => mailseal.parseDer(der),
    tapeBatch(ders) {
      const run = () => mailseal.parseDerBatch(ders);
      assertResult(run().every((result) => result instanceof mailseal.DerNode));
      return run;
    },
    certificate(file) {
      const der = readFileSync(file);
      return () => {
        const { subject, issuer, serialNumber, notAfter, publicKey } = mailseal.Certificate.parse(der);
        return {
          commonName: subject.rdns.flat().find(({ name }) => name === 'CN')?.value ?? '',
          issuer: issuer.rdns,
          serial: Buffer.from(serialNumber).toString('hex'),
          notAfter,
          modulusLength: publicKey.modulusLength ?? 0,
        };
      };
    },
    pfx: (_shape, bytes) => () => countsOf(mailseal.readPfx(bytes, inputs.password)),
    pfxBatch(files) {
      const batch = files.map((bytes) => ({ bytes, password: inputs.password }));
      return () =>
        mailseal.readPfxBatch(batch).map((result) => (result.ok ? countsOf(result.contents) : undefined));
    },
    sign({ plain }) {
      const mail = readFileSync(plain);
      return () => mailseal.sign(mail, { signers: [{ privateKey, certificate }] });
    },
    verify({ signed }) {
      const mail = readFileSync(signed);
      return async () => (await mailseal.verify(mail, { trust: [ca] })).valid;
    },
    async verifyNew({ plain }) {
      const next = rotate(await mailsOfNewSenders(mailseal, inputs, readFileSync(plain), privateKey));
      return async () => (await mailseal.verify(next(), { trust: [ca] })).valid;
    },
    encrypt({ plain }) {
      const mail = readFileSync(plain);
      return () => mailseal.encrypt(mail, { recipients: [certificate], cipher: 'aes256-cbc' });
    },
    encryptMany({ plain }) {
      const mail = readFileSync(plain);
      const recipients = readPack(inputs.recipients).map((der) => mailseal.Certificate.parse(der));
      return () => mailseal.encrypt(mail, { recipients, cipher: 'aes256-cbc' });
    },
    decrypt({ encrypted }) {
      const mail = readFileSync(encrypted);
      return async () => (await mailseal.decrypt(mail, { keys })).content;
    },
    encryptGcm({ plain }) {
      const mail = readFileSync(plain);
      return () => mailseal.encrypt(mail, { recipients: [certificate], cipher: 'aes256-gcm' });
    },
    decryptGcm({ encryptedGcm }) {
      const mail = readFileSync(encryptedGcm);
      return async () => (await mailseal.decrypt(mail, { keys })).content;
    },
    streams: {
      sign({ plain }) {
        const mail = readFileSync(plain);
        return () => mailseal.sign(chunksOf(mail), { signers: [{ privateKey, certificate }] });
      },
      verify({ signed }) {
        const mail = readFileSync(signed);
        return async () => {
          const { valid, content } = await mailseal.verify(chunksOf(mail), { trust: [ca] });
          assertResult(valid);
          return content;
        };
      },
      encrypt({ plain }) {
        const mail = readFileSync(plain);
        return () => mailseal.encrypt(chunksOf(mail), { recipients: [certificate], cipher: 'aes256-cbc' });
      },
      decrypt({ encrypted }) {
        const mail = readFileSync(encrypted);
        return async () => (await mailseal.decrypt(chunksOf(mail), { keys })).content;
      },
    },
    lookup: () => mailsealLookup(mailseal, inputs.folder),
  };
}
