/** The commands that ask a key store: lookup, users. */
import { unknownRecipient } from '../cms/enveloped.js';
import {
  describeRecipient,
  describeRecipientInfo,
  namesKeys,
  type RecipientIdentifier,
} from '../cms/recipientinfo.js';
import type { Match, StoredCertificate } from '../keystore/store.js';
import { readEnveloped } from '../smime/message.js';
import { readInput } from './files.js';
import { requireStore, type StoreOptions, withStore } from './keys.js';
import { certificateJson, describeCertificate, isoDay } from './mail.js';
import { printJson, printTable } from './terminal.js';

interface ListOptions extends StoreOptions {
  json?: true;
}

export async function lookupCommand(file: string, options: ListOptions): Promise<void> {
  requireStore(options);
  const enveloped = readEnveloped(readInput(file));
  const recipients = enveloped.recipientInfos.filter(namesKeys).flatMap(({ identifiers }) => identifiers);
  const matches = await withStore(options, false, (store) => store.lookup(recipients));
  if (options.json) {
    printJson({
      recipients: enveloped.recipientInfos.flatMap(describeRecipientInfo),
      matches: matches.map((match) => ({
        recipient: describeRecipient(recipients[match.recipient] as RecipientIdentifier),
        reason: match.reason,
        ...storedJson(match),
      })),
    });
  } else {
    printTable(matches.map(matchRow));
  }
  if (!matches.some((match) => match.hasKey)) throw unknownRecipient(enveloped);
}

const matchRow = (match: Match): string[] => [
  match.hasKey ? 'key' : 'no key',
  match.users.join(', ') || 'nobody',
  describeCertificate(match.certificate),
  match.reason,
];

export async function usersCommand(address: string | undefined, options: ListOptions): Promise<void> {
  if (address !== undefined) {
    printHistory(await withStore(options, false, (store) => store.history(address)), options);
    return;
  }
  const users = await withStore(options, false, (store) => store.users());
  if (options.json) printJson(users);
  else {
    const rows = users.map((user) => [user.address ?? '(nobody)', `${user.certificates}`, `${user.keys}`]);
    printTable([['user', 'certificates', 'keys'], ...rows]);
  }
}

function printHistory(history: readonly StoredCertificate[], { json }: ListOptions): void {
  if (json) {
    printJson(history.map(storedJson));
    return;
  }
  const rows = history.map(({ certificate, hasKey, maySign, mayEncrypt }) => [
    isoDay(certificate.notBefore),
    isoDay(certificate.notAfter),
    hasKey ? 'key' : 'no key',
    [...(maySign ? ['sign'] : []), ...(mayEncrypt ? ['encrypt'] : [])].join(', '),
    certificate.subject.toString(),
  ]);
  printTable([['from', 'to', 'key', 'for', 'subject'], ...rows]);
}

function storedJson({ certificate, hasKey, maySign, mayEncrypt, users, friendlyName }: StoredCertificate) {
  return { ...certificateJson(certificate), users, friendlyName, hasKey, maySign, mayEncrypt };
}
