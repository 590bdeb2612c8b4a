/** What every benchmark gets. */
import type { Subject } from '../../src/bench/run/baseline.js';
import type { Virtme } from '../../src/bench/run/commands.js';
import type { HostFacts } from '../../src/bench/run/host.js';
import type { Progress } from './run.js';

/**
 * `program` is virt-sandbox, `image` what its `--dry-run --json` says of the image to boot, and `scratch` a directory
 * that every user can read; it is removed at the end.
 */
export interface Measuring extends Subject {
  readonly runs: number;
  readonly progress: Progress;
  /** virtme-ng, or why there is no comparison with it. */
  readonly virtme: Virtme;
  /** Of `data`: how much is done. */
  readonly scale: number;
}

export interface Context extends Measuring {
  /** Of `data`: no system begins later. Infinity: no limit. */
  readonly minutes: number;
  /** Of `data`: a file for the page of documentation. */
  readonly page: string | undefined;
  /** Of `data`: under KVM, in an emulated machine. */
  readonly nested: boolean;
  /** One line on the versions and the machine. */
  readonly describe: (machine?: Measured) => string;
}

/** The machine that was measured, and the version of its virtme-ng. */
export type Measured = HostFacts & { readonly virtme: string };
