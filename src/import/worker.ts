/** What runs in a worker thread of an import: its steps (tasks.ts), under the names that threads.ts calls them by. */
import { workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { type Packed, pack, unpack } from './pack.js';
import { runTask, type TaskName, type TaskSettings, Tasks } from './tasks.js';

const tasks = new Tasks(workerData as TaskSettings);

export const read = (files: Packed): object => run('read', files);
export const open = (files: Packed): object => run('open', files);

function run(task: TaskName, files: Packed): object {
  const packed = pack(runTask(tasks, task, unpack(files)));
  return move({ [transferableSymbol]: [packed.buffer], [valueSymbol]: packed });
}
