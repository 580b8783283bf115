/**
 * The command line's voice. Its rules:
 * - standard output carries the answer and nothing else: content, or a report, which is JSON with --json;
 * - standard error carries everything else: progress, notes, and one line for each error, `mailseal: CODE: message`;
 * - the exit status is 0 only on success, 2 for a command line that makes no sense, 1 for everything else;
 * - a progress bar is drawn on a terminal only, elsewhere there is a line now and then; secrets are never printed, and asked for without echo;
 * - text out of a mail or certificate is printed with its control characters escaped: it can't move the cursor.
 */
import { MailsealError } from '../errors.js';

/** Control and format characters, line separators, lone surrogates; not the joiners that Persian or emoji need. */
const UNPRINTABLE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const UNPRINTABLE_IN_JSON = /(?![\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escaped(text: string, what: RegExp): string {
  const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return text.replace(what, (character) => character.split('').map(escapeUnit).join(''));
}

/** Escapes what could control a terminal, reorder text or hide in it, as JSON does. */
export function printable(text: string): string {
  return escaped(text, UNPRINTABLE);
}

export function printLine(text: string): void {
  process.stdout.write(`${printable(text)}\n`);
}

/** JSON.stringify leaves some of what is unprintable as it is; but for line ends, it can stand in strings only. */
export function printJson(value: unknown): void {
  process.stdout.write(`${escaped(JSON.stringify(value, null, 2), UNPRINTABLE_IN_JSON)}\n`);
}

export function note(text: string): void {
  process.stderr.write(`mailseal: ${printable(text)}\n`);
}

/** One line for an error; of one that is not ours, so a bug, with its stack. Returns the exit status. */
export function printError(error: unknown): number {
  if (error instanceof MailsealError) {
    noteError(error);
    return error.code === 'USAGE' ? 2 : 1;
  }
  const stack = (error instanceof Error && error.stack) || String(error);
  note(`unexpected: ${stack.replace(/\s*\n\s*/g, ' ')}`);
  return 1;
}

export function noteError(
  { code, message, offset }: { code: string; message: string; offset?: number },
  about?: string,
): void {
  const place = offset === undefined ? '' : ` (at octet ${offset})`;
  note(`${code}: ${about === undefined ? '' : `${about}: `}${message}${place}`);
}

/** Rows in columns, each as wide as its widest cell. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const line = (row: string[]) => row.map((cell, i) => cell.padEnd(widths[i] as number)).join('  ');
  for (const row of cells) printLine(line(row).trimEnd());
}

/** Asks for a password without echo. @throws MailsealError USAGE where there is no terminal to ask at */
export async function askPassword(question: string): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new MailsealError(
      'USAGE',
      `${question}: no terminal to ask at; give --password-file or MAILSEAL_PASSWORD`,
    );
  }
  const { default: password } = await import('@inquirer/password');
  try {
    return await password({ message: `${printable(question)}:` }, { output: process.stderr });
  } catch (cause) {
    if ((cause as Error).name !== 'ExitPromptError') throw cause; // Ctrl-C, or the terminal is gone
    throw new MailsealError('USAGE', `${question}: none was given`, { cause });
  }
}

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `clean` when the process is interrupted; it ends then as ever.
 * @returns what takes that back
 */
export function whenInterrupted(clean: () => void): () => void {
  const forget = () => {
    for (const signal of INTERRUPTS) process.off(signal, interrupted);
  };
  const interrupted = (signal: NodeJS.Signals) => {
    forget();
    clean();
    process.kill(process.pid, signal);
  };
  for (const signal of INTERRUPTS) process.on(signal, interrupted);
  return forget;
}
