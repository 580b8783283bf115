/**
 * What `npm run bench -- --check` lets no job fall below: how many times the other must take mailseal's time, at least.
 * About 70% of what was measured, so that a busy machine fails it rarely and a lost optimization always.
 */
import type { Comparison } from './targets.js';

export interface Floor extends Comparison {
  atLeast: number;
}

export const FLOORS: readonly Floor[] = [{ job: 'tape certificate', against: 'libcrypto', atLeast: 0.36 }];
