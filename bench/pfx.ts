/** Opening one PFX file: decode, check the MAC, decrypt, decode the key and the certificate. */
import { assertResult, type Implementation, type Jobs } from './implementation.js';
import type { Inputs } from './inputs.js';

export function pfxJobs({ pfx }: Implementation, inputs: Inputs): Jobs {
  const jobs: Jobs = {};
  for (const { name, file } of inputs.pfx) {
    jobs[`pfx ${name}`] = async () => {
      const open = pfx?.(name, file);
      if (open !== undefined) {
        const [keys, certificates] = await open();
        assertResult(keys === 1 && certificates === 1);
      }
      return open;
    };
  }
  return jobs;
}
