/** What a subject (tape.ts, pfx.ts, smime.ts, lookup.ts) gets, and what its cases share. */
import type { Inputs } from './inputs.js';
import type { Group } from './measure.js';
import type { Native } from './native.js';
import type { Rival } from './rivals.js';

export interface Peers {
  inputs: Inputs;
  native: Native;
  rivals: Rival[];
}

/** Prepares a subject's cases; everything in them was checked to give the right result. */
export type Subject = (peers: Peers) => Group[] | Promise<Group[]>;

/** A peer with a wrong result must not be measured. */
export function assertResult(right: boolean, job: string, impl: string): void {
  if (!right) throw new Error(`${impl} gives a wrong result for the job "${job}"`);
}
