/** What runs in a worker thread of an import: its steps (tasks.ts), under the names that threads.ts calls them by. */
import { workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { pack } from './pack.js';
import { type Files, runTask, type TaskName, type TaskSettings, Tasks } from './tasks.js';

const tasks = new Tasks(workerData as TaskSettings);

export const read = (files: Files<'read'>): object => run('read', files);
export const open = (files: Files<'open'>): object => run('open', files);

function run<T extends TaskName>(task: T, files: Files<T>): object {
  const { message, buffer } = pack(runTask(tasks, task, files));
  return move({ [transferableSymbol]: [buffer], [valueSymbol]: message });
}
