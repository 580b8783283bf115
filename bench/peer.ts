/** Whoever is measured, each in a process of its own: here the JavaScript ones (child.ts), in native.ts the C program. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Job } from './jobs.js';
import type { Row } from './measure.js';

export interface Peer {
  readonly impl: string;
  /** Measures one round; null where the peer can't do the job. */
  measure(job: Job): Promise<Row | null>;
  close(): void;
}

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

/** Resolves when the process has loaded its implementation. */
export async function startChild(impl: string, inputsFile: string): Promise<Peer> {
  const args = ['--import', import.meta.resolve('tsx/esm'), CHILD, impl, inputsFile];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (task: string): Promise<string> => {
    const line = await lines.next();
    if (line.done) throw new Error(`the process of ${impl} ended instead of ${task}`);
    return line.value;
  };
  await nextLine('loading it');
  return {
    impl,
    async measure({ name }) {
      child.stdin.write(`${name}\n`);
      return JSON.parse(await nextLine(`doing the job "${name}"`)) as Row | null;
    },
    close: () => child.stdin.end(),
  };
}
