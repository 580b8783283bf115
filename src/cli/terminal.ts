/**
 * The command line's voice. Its rules:
 * - standard output carries the answer and nothing else: content, or a report, which is JSON with --json;
 * - standard error carries everything else: progress, notes, and one line for each error, `mailseal: CODE: message`;
 * - the exit status is 0 only on success, 2 for a command line that makes no sense, 1 for everything else;
 * - a progress bar is drawn on a terminal only; secrets are never printed, and asked for without echo;
 * - text out of a mail or certificate is printed with its control characters escaped: it can't move the cursor.
 */
import { SingleBar } from 'cli-progress';
import { MailsealError } from '../errors.js';

/** Escapes what could control a terminal or reorder text. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function note(text: string): void {
  process.stderr.write(`mailseal: ${printable(text)}\n`);
}

/** One line for an error of ours; for any other, a bug of ours, its stack. Returns the exit status. */
export function printError(error: unknown, subject?: string): number {
  const about = subject === undefined ? '' : `${subject}: `;
  if (error instanceof MailsealError) {
    const place = error.offset === undefined ? '' : ` (at octet ${error.offset})`;
    note(`${error.code}: ${about}${error.message}${place}`);
    return error.code === 'USAGE' ? 2 : 1;
  }
  process.stderr.write(
    `mailseal: unexpected: ${about}${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return 1;
}

/** Rows in columns, each as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const columns = Math.max(0, ...cells.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...cells.map((row) => row[i]?.length ?? 0)),
  );
  const line = (row: string[]) => row.map((cell, i) => cell.padEnd(widths[i] as number)).join('  ');
  return `${cells.map((row) => line(row).trimEnd()).join('\n')}\n`;
}

export interface Progress {
  step(done: number, text: string): void;
  stop(): void;
}

/** A bar with rate and remaining time on a terminal; nothing where nobody looks. */
export function progressBar(total: number, unit: string): Progress {
  if (!process.stderr.isTTY || total === 0) return { step: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    format: `{bar} {value}/{total} ${unit}  {speed}/s  {eta_formatted} left  {text}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 30,
  });
  const from = performance.now();
  bar.start(total, 0, { speed: '-', text: '' });
  return {
    step: (done, text) => {
      const speed = Math.round((done * 1000) / (performance.now() - from + 1));
      bar.update(done, { speed, text: printable(text).slice(-40) });
    },
    stop: () => bar.stop(),
  };
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
  return password({ message: `${question}:` }, { output: process.stderr });
}
