/** Whoever is measured, each in a process of its own: here the JavaScript ones (child.ts), in native.ts the C program. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Job } from './jobs.js';
import type { Row } from './measure.js';

export interface Peer {
  /** Measures one round; null where the peer can't do the job. */
  measure(job: Job): Promise<Row | null>;
  close(): void;
}

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

export function startChild(impl: string, inputsFile: string): Peer {
  const args = ['--import', import.meta.resolve('tsx/esm'), CHILD, impl, inputsFile];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // it has ended, which `answers` tells
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async measure({ name }) {
      child.stdin.write(`${name}\n`);
      const answer = await answers.next();
      if (answer.done) throw new Error(`${impl} ended instead of doing the job "${name}"`);
      return JSON.parse(answer.value) as Row | null;
    },
    close: () => child.stdin.end(),
  };
}
