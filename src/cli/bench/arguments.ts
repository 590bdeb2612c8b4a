/** Arguments of the commands that measure, as their options are read. */
import type { NestedMachine } from '../../bench/nested/machine.js';
import type { OutputArguments, PictureArguments } from './output.js';

/** An emulated machine to measure in, and the command that measures there. */
export interface Nested extends NestedMachine {
  readonly name: 'run' | 'compare' | 'ablate' | 'tune' | 'peers';
}

export interface MeasureArguments extends OutputArguments, PictureArguments {
  readonly runs?: number | undefined;
  readonly warmUp: number;
  readonly profile?: string | undefined;
  /** Options of virt-sandbox in one word. */
  readonly options: string;
  readonly deterministic: boolean;
  /** What runs inside. */
  readonly command: readonly string[];
  /** Measures inside an emulated machine; undefined: here. */
  readonly nested?: Nested | undefined;
}

export interface ChangesArguments extends MeasureArguments {
  /** A regular expression. */
  readonly only?: string | undefined;
}
