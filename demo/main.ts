/**
 * `npm run demo`: the main job on real data, in a temporary folder. It uses the built package as anyone would; of the
 * tests it takes the reader of vectors/ and the issuer of certificates.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import {
  Certificate,
  decrypt,
  encrypt,
  generateSealKey,
  importPfx,
  type KeyStore,
  openKeyStore,
  PrivateKey,
  sign,
  type Verdict,
  verify,
} from '../dist/index.js';
import { type IssuedCertificate, issueCertificate } from '../test/helpers/pki.js';
import { cmsRows, pfxRows, readReference, readVector, vectorPath } from '../test/helpers/vectors.js';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const mail = (from: string, to: string, body: string) =>
  Buffer.from(
    `From: ${from}\r\nTo: ${to}\r\nSubject: demo\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${body}\r\n`,
  );

/** One line of the report: what was done, what came of it, how long it took. */
async function step<T>(what: string, run: () => Promise<T>, outcome: (value: T) => string): Promise<T> {
  const from = performance.now();
  const value = await run();
  const time = performance.now() - from;
  console.log(`${what.padEnd(44)} ${time.toFixed(time < 10 ? 2 : 0).padStart(7)} ms   ${outcome(value)}`);
  return value;
}

/** Every PFX of vectors/ whose password is known, those that are made to fail too. */
async function importVectors(store: KeyStore): Promise<void> {
  const rows = pfxRows().filter((row) => row.password !== null);
  const inputs = rows.map((row) => ({
    path: vectorPath(row.source, row.path),
    name: `${row.source}/${row.path}`,
    password: row.password as string,
  }));
  const bar = new SingleBar({
    format: 'importing {bar} {value}/{total} files  {eta_formatted} left',
    hideCursor: true,
    clearOnComplete: true,
  });
  const shown = process.stdout.isTTY;
  if (shown) bar.start(inputs.length, 0);
  const report = await step(
    `import ${inputs.length} PFX files of ${new Set(rows.map((row) => row.source)).size} projects`,
    () =>
      importPfx(store, inputs, { onProgress: (_, done) => shown && bar.update(done) }).finally(() =>
        bar.stop(),
      ),
    ({ totals }) => `${totals.imported} imported, ${totals.present} there already, ${totals.failed} refused`,
  );
  const reasons = new Map<string, string[]>();
  for (const { name, error } of report.rows) {
    if (error === undefined) continue;
    reasons.set(error.code, [...(reasons.get(error.code) ?? []), name]);
  }
  for (const [code, names] of reasons)
    console.log(`    ${code.padEnd(22)} ${String(names.length).padStart(3)}   such as ${names[0]}`);
}

const USER = 'anna@example.org';
const YEARS = [2016, 2018, 2020, 2022, 2024, 2026];

interface Year {
  year: number;
  key: 'rsa' | 'P-256';
  issued: IssuedCertificate;
}

/** A user whose encryption certificate was renewed every two years: RSA, EC, RSA … */
function issueHistory(ca: IssuedCertificate): Year[] {
  return YEARS.map((year, i) => {
    const key = i % 3 === 1 ? 'P-256' : 'rsa';
    const issued = issueCertificate({
      subject: [['commonName', `Anna, encryption ${year}`]],
      emails: [USER],
      key,
      issuer: ca,
      notBefore: new Date(Date.UTC(year, 0, 1)),
      notAfter: new Date(Date.UTC(year + 2, 0, 1)),
      keyUsage: [key === 'rsa' ? 'keyEncipherment' : 'keyAgreement'],
    });
    return { year, key, issued };
  });
}

async function addIssued(store: KeyStore, { certificate, privateKey }: IssuedCertificate): Promise<void> {
  await store.add({ certificate: Certificate.parse(certificate), privateKey: PrivateKey.parse(privateKey) });
}

/** The encrypted examples of RFC 4134: two bare CMS objects and a mail, 3DES and RC2, made in 2002 for Bob and Diane. */
async function openRfc4134(store: KeyStore): Promise<void> {
  const read = (name: string) => readVector('bc-test-data', `rfc4134/${name}`);
  await store.add({
    user: 'bob@rfc4134.example',
    certificate: Certificate.parse(read('BobRSASignByCarl.cer')),
    privateKey: PrivateKey.parse(read('BobPrivRSAEncrypt.pri')),
  });
  const expected = text(read('ExContent.bin'));
  for (const name of ['5.1.bin', '5.2.bin', '5.3.eml']) {
    await step(
      `open RFC 4134 ${name}`,
      () => decrypt(read(name), { keys: store }),
      ({ content, cipher }) => {
        if (!text(content).includes(expected)) throw new Error(`${name} opened to something else`);
        return `${cipher}: ${JSON.stringify(expected)}`;
      },
    );
  }
}

/** Signed mail and CMS of many projects, each to the anchors and the time that its origin means it for. */
async function verifySigned(): Promise<void> {
  // Left out: what algorithms to come are needed for, and AS2, which is HTTP and starts with a request line.
  const rows = cmsRows().filter(
    (row) =>
      row.expect === 'verifies' &&
      row.verifiedBy !== undefined &&
      row.beyondCore === undefined &&
      row.pathError === undefined &&
      !row.path.includes('AS2'),
  );
  await step(
    `verify ${rows.length} signed messages of ${new Set(rows.map((row) => row.source)).size} projects`,
    async () => {
      const verdicts: Verdict[] = [];
      for (const row of rows) verdicts.push(await verifyRow(row));
      return verdicts;
    },
    (verdicts) => {
      const matching = verdicts.filter(({ signers }) => signers.every((signer) => signer.signatureValid));
      const trusted = verdicts.filter(({ signers }) => signers.every((signer) => signer.trusted));
      return `${matching.length} signatures match, ${trusted.length} lead to their trust anchor`;
    },
  );
}

async function verifyRow({
  source,
  path,
  content,
  signerCertificates,
  verifiedBy,
}: ReturnType<typeof cmsRows>[number]): Promise<Verdict> {
  const message = readVector(source, path);
  const read = (reference: string) => Certificate.parse(certificateDer(readReference(source, reference)));
  const options = {
    certificates: (signerCertificates ?? []).map(read),
    now: verifiedBy?.at === undefined ? new Date() : new Date(verifiedBy.at),
    allowSha1: true,
    ...(content !== undefined && { content: readReference(source, content) }),
  };
  // Some test messages bring their own root. It is trusted here because the vector's origin says so, by its hash.
  const { certificates } = await verify(message, { ...options, trust: [] });
  const own = certificates.filter(({ fingerprint }) =>
    verifiedBy?.anchorsInMessage?.includes(Buffer.from(fingerprint).toString('hex')),
  );
  return verify(message, { ...options, trust: [...(verifiedBy?.anchors ?? []).map(read), ...own] });
}

function certificateDer(bytes: Uint8Array): Uint8Array {
  const pem = /-----BEGIN CERTIFICATE-----([^-]*)/.exec(text(bytes))?.[1];
  return pem === undefined ? bytes : Buffer.from(pem, 'base64');
}

async function correspond(store: KeyStore, ca: IssuedCertificate, history: readonly Year[]): Promise<void> {
  const oldest = history[0] as Year;
  const old = await encrypt(mail('ben@example.org', USER, 'Do you still have the drawings?'), {
    recipients: [Certificate.parse(oldest.issued.certificate)],
    now: new Date(Date.UTC(oldest.year, 6, 1)), // it has expired since
  });
  await step(
    `open a mail encrypted to the key of ${oldest.year}`,
    () => decrypt(old, { keys: store }),
    ({ certificate, reason }) => `${certificate?.subject}: ${reason}`,
  );
  const now = new Date();
  const ben = issueCertificate({ subject: 'Ben', emails: ['ben@example.org'], key: 'rsa', issuer: ca });
  await addIssued(store, ben);
  await addIssued(
    store,
    issueCertificate({
      subject: 'Anna, signing',
      emails: [USER],
      key: 'P-256',
      issuer: ca,
      keyUsage: ['digitalSignature'],
    }),
  );
  const answer = mail(USER, 'ben@example.org', 'Here they are. Grüße, Anna');
  const signed = await step(
    'sign the answer',
    async () => sign(answer, { signers: [await store.signingEntry(USER, now)] }),
    (bytes) => `${bytes.length} octets, ECDSA P-256`,
  );
  const sealed = await step(
    'encrypt it',
    async () => encrypt(signed, { recipients: await store.encryptionCertificates('ben@example.org', now) }),
    (bytes) => `${bytes.length} octets, AES-256-CBC`,
  );
  const opened = await step(
    'open it again',
    () => decrypt(sealed, { keys: store }),
    ({ certificate }) => `${certificate?.subject}`,
  );
  await step(
    'verify it',
    () => verify(opened.message as Uint8Array, { trust: [Certificate.parse(ca.certificate)], now }),
    ({ valid, from, senderVerified }) => {
      if (!valid || !senderVerified) throw new Error('the answer does not verify');
      return `valid, from ${from}`;
    },
  );
}

const folder = mkdtempSync(join(tmpdir(), 'mailseal-demo-'));
try {
  const store = await openKeyStore(`sqlite:${join(folder, 'keys.db')}`, { sealKey: generateSealKey() });
  await importVectors(store);
  const ca = issueCertificate({
    subject: 'Demo CA',
    key: 'rsa',
    ca: true,
    notBefore: new Date('2015-01-01'),
  });
  const history = issueHistory(ca);
  await step(
    `add a history of ${history.length} certificates to ${USER}`,
    async () => {
      for (const { issued } of history) await addIssued(store, issued);
    },
    () => history.map(({ year, key }) => `${year} ${key}`).join(', '),
  );
  await openRfc4134(store);
  await verifySigned();
  await correspond(store, ca, history);
  const users = await store.users();
  await store.close();
  const size = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  console.log(
    `\nkey store: ${users.length} users, ${users.reduce((sum, user) => sum + user.certificates, 0)} certificates, ${Math.round(size / 1024)} KiB, private keys sealed`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
