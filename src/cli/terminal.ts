/**
 * The command line's voice. Its rules:
 * - standard output carries the answer and nothing else: content, or a report, which is JSON with --json;
 * - standard error carries everything else: progress, notes, and one line for each error, `mailseal: CODE: message`;
 * - the exit status is 0 only on success, 2 for a command line that makes no sense, 1 for everything else;
 * - a progress bar is drawn on a terminal only, elsewhere there is a line now and then; secrets are never printed, and asked for without echo;
 * - text out of a mail or certificate is printed with its control characters escaped: it can't move the cursor.
 */
import { SingleBar } from 'cli-progress';
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

export interface Progress {
  step(done: number, text: string): void;
  stop(): void;
}

/** How often progress is told where there is no terminal. */
const TOLD_MS = 10_000;

/** A bar with rate and remaining time on a terminal; elsewhere a line now and then. */
export function progress(total: number, unit: string): Progress {
  const rate = new Rate();
  if (!process.stderr.isTTY) {
    let told = performance.now();
    const step = (done: number) => {
      rate.add(done);
      if (performance.now() - told < TOLD_MS) return;
      told = performance.now();
      note(`${done} of ${total} ${unit}, ${rate.perSecond}/s, ${rate.left(total - done)} left`);
    };
    return { step, stop: () => undefined };
  }
  if (total === 0) return { step: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    format: `{bar} {value}/{total} ${unit}  {speed}/s  {left} left  {text}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 30,
  });
  bar.start(total, 0, { speed: '-', left: '-', text: '' });
  /** Ctrl-C ends the command as ever, but the terminal gets its cursor back first. */
  const interrupted = (signal: NodeJS.Signals) => {
    stop();
    process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of INTERRUPTS) process.removeListener(signal, interrupted);
    bar.stop();
  };
  for (const signal of INTERRUPTS) process.on(signal, interrupted);
  return {
    step: (done, text) => {
      rate.add(done);
      const left = rate.left(total - done);
      bar.update(done, { speed: rate.perSecond, left, text: printable(text).slice(-40) });
    },
    stop,
  };
}

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Of the last seconds: what an earlier run did already goes by much faster. */
const RATE_MS = 10_000;
const RATE_STEP_MS = 200;

class Rate {
  readonly #marks = [{ at: performance.now(), done: 0 }];
  #done = 0;

  add(done: number): void {
    this.#done = done;
    const at = performance.now();
    const last = this.#marks.at(-1) as { at: number };
    if (at - last.at < RATE_STEP_MS) return;
    this.#marks.push({ at, done });
    while (this.#marks.length > 2 && at - (this.#marks[1] as { at: number }).at >= RATE_MS)
      this.#marks.shift();
  }

  get #perMillisecond(): number {
    const { at, done } = this.#marks[0] as { at: number; done: number };
    return (this.#done - done) / (performance.now() - at + 1);
  }

  get perSecond(): number {
    return Math.round(this.#perMillisecond * 1000);
  }

  /** As in `1:05`, or `-` while nothing is known. */
  left(count: number): string {
    const seconds = Math.round(count / this.#perMillisecond / 1000);
    if (!Number.isFinite(seconds)) return '-';
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const two = (number: number) => String(number).padStart(2, '0');
    const head = hours > 0 ? `${hours}:${two(minutes)}` : `${minutes}`;
    return `${head}:${two(seconds % 60)}`;
  }
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
