/** The progress of an import: a bar on a terminal, elsewhere a line now and then. The rules for both are in terminal.ts. */
import { SingleBar } from 'cli-progress';
import { note, printable, whenInterrupted } from './terminal.js';

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
  // The terminal gets its cursor back first.
  const forget = whenInterrupted(() => bar.stop());
  const stop = () => {
    forget();
    bar.stop();
  };
  return {
    step: (done, text) => {
      rate.add(done);
      const left = rate.left(total - done);
      bar.update(done, { speed: rate.perSecond, left, text: printable(text).slice(-40) });
    },
    stop,
  };
}

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
