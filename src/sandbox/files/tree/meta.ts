/** Mode and time of a file of the host, as a tree has them. */
import type { BigIntStats } from 'node:fs';
import { MODE_BITS, type TreeMeta } from './format.js';

const BILLION = 1_000_000_000n;

export function metaOf({ mode, mtimeNs }: BigIntStats): TreeMeta {
  const nanoseconds = Number(((mtimeNs % BILLION) + BILLION) % BILLION);
  const seconds = (mtimeNs - BigInt(nanoseconds)) / BILLION;
  return { mode: Number(mode) & MODE_BITS, seconds, nanoseconds };
}
