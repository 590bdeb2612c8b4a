/** What every benchmark needs to know. */
import type { Subject } from '../../src/bench/run/baseline.js';
import type { Virtme } from '../../src/bench/run/commands.js';
import type { Progress } from './run.js';

/**
 * `program` is the one that is installed, `image` what `--dry-run --json` says of the image that is booted, and `scratch` a
 * directory that every user may read and that is removed in the end.
 */
export interface Context extends Subject {
  readonly runs: number;
  readonly progress: Progress;
  /** virtme-ng, or why it is not compared with. */
  readonly virtme: Virtme;
}
