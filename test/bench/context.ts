/** What every benchmark gets. */
import type { Subject } from '../../src/bench/run/baseline.js';
import type { Virtme } from '../../src/bench/run/commands.js';
import type { Progress } from './run.js';

/**
 * `program` is virt-sandbox, `image` what its `--dry-run --json` says of the image to boot, and `scratch` a directory
 * that every user can read; it is removed at the end.
 */
export interface Context extends Subject {
  readonly runs: number;
  readonly progress: Progress;
  /** virtme-ng, or why there is no comparison with it. */
  readonly virtme: Virtme;
  /** Of `data`: how much is done, and a file for the page of documentation. */
  readonly scale: number;
  readonly page: string | undefined;
  /** One line on the versions and the machine. */
  readonly describe: () => string;
}
