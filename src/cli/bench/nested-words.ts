/** The command line of virt-sandbox-bench inside the emulated machine. */
import { asksForContainer } from '../../bench/run/commands.js';
import { optionOf } from '../../bench/run/variant.js';
import { shellWord } from '../../util/shell-word.js';
import { splitWords } from '../split-words.js';
import type { MeasureArguments, Nested } from './arguments.js';
import { benchCommands } from './options.js';

export interface InnerArguments extends MeasureArguments {
  readonly against?: string | undefined;
  /** Of `tune`. */
  readonly to?: string | undefined;
  readonly name?: string | undefined;
}

/** Options that say where results go. Those are made outside. */
const OUTSIDE = new Set(['json', 'output', 'history', 'svg', 'html', 'trace', 'to', 'threshold', 'deterministic']);
const PICTURES = ['svg', 'html', 'trace'] as const;

/** @throws {Error} for what the machine cannot measure */
export function refuseInside(args: InnerArguments): void {
  if (args.deterministic)
    throw new Error(
      'nested measures under KVM, where --deterministic cannot count: the guest runs on the processor, and only QEMU’s ' +
        'emulator counts instructions; leave it out for the time and the exits to KVM, or leave out nested',
    );
  const words = [args.options, args.against ?? ''].flatMap(splitWords);
  if (asksForContainer(words)) throw new Error('nested measures under KVM, and a container has none; leave out nested');
}

/** The command with its options, but without those of {@link OUTSIDE}. */
export function innerWords(name: Nested['name'], args: InnerArguments): string[] {
  const values: Readonly<Record<string, unknown>> = { ...args };
  const words = Object.keys(benchCommands[name].options)
    .filter((option) => !OUTSIDE.has(option) && values[option] !== undefined)
    .map((option) => {
      const value = values[option];
      if (typeof value === 'boolean') return value ? `--${option}` : `--no-${option}`;
      return `--${option}=${String(value)}`;
    });
  const counts = 'deterministic' in benchCommands[name].options ? ['--no-deterministic'] : [];
  const isDrawn = PICTURES.some((picture) => values[picture] !== undefined);
  // `compare` measures a run in detail for a picture only.
  return [name, ...words, ...counts, ...(name === 'compare' && isDrawn ? ['--trace=/dev/null'] : [])];
}

/**
 * The arguments of `virt-sandbox-bake create` for each snapshot that the measuring needs: the store in the machine is
 * empty. `peers` has a row for warm starts.
 */
export function snapshotsFor(name: Nested['name'], args: InnerArguments): string[][] {
  const { options, against, profile } = args;
  const lines = [options, ...(against === undefined ? [] : [against])].map(splitWords);
  return lines
    .filter((words) => name === 'peers' || optionOf(words, 'boot') === 'warm')
    .map((words) => [
      ...(profile === undefined ? [] : ['--profile', profile]),
      ...['--for', ['--accel', 'kvm', ...words].map(shellWord).join(' ')],
    ]);
}

/** A result's text, in which the user's profiles have the names that the user gave. @param names by those inside */
export function withOwnNames(text: string, names: ReadonlyMap<string, string>): string {
  return [...names].reduce((all, [inside, own]) => all.replaceAll(inside, JSON.stringify(own).slice(1, -1)), text);
}
