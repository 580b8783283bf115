/**
 * A process that imports PFX files into a new key store: `importer.js FOLDER COUNT WORKERS PASSWORD STORE`. Prints its
 * time, its peak of resident memory, and how long it was at the store. In JavaScript, since tsx would take memory
 * of its own. import.ts starts it.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { importPfx, openKeyStore } from '../dist/index.js';

const [folder, count, workers, password, file] = process.argv.slice(2);
const inputs = readdirSync(folder)
  .sort()
  .slice(0, Number(count))
  .map((name) => ({ name, path: join(folder, name), password }));
const store = await openKeyStore(`sqlite:${file}`, { sealKey: randomBytes(32) });

/** The time until a call is answered: what else this thread does meanwhile is in it. */
let storeMs = 0;
function timed(object, name) {
  return async (...args) => {
    const start = performance.now();
    try {
      return await object[name](...args);
    } finally {
      storeMs += performance.now() - start;
    }
  };
}
const { bulk } = store;
const timedStore = {
  bulk: {
    sealerState: bulk.sealerState,
    logged: (keys) => bulk.logged(keys),
    writeFiles: timed(bulk, 'writeFiles'),
    finish: timed(bulk, 'finish'),
  },
};

const start = performance.now();
const { totals } = await importPfx(timedStore, inputs, { workers: Number(workers) });
const ms = performance.now() - start;
await store.close();
const { maxRSS } = process.resourceUsage();
console.log(JSON.stringify({ imported: totals.imported, ms, storeMs, peakMB: maxRSS / 1024 }));
