/**
 * The kernel's command line. Nothing that a person wrote for the application goes here: arguments, environment and paths travel over the
 * channel alone. What is a matter of choice stands in the profiles (profiles/*.json), with its worth and its risk.
 *
 * https://docs.kernel.org/admin-guide/kernel-parameters.html
 */
import type { Profile } from '../profile/types.js';

/** Arguments of every boot: without them a sandbox would not be what it promises. */
const ALWAYS = [
  // A kernel that panics ends the machine at once, with its message on the console.
  'panic=-1',
  // On a busy host the kernel may see no tick while it checks that the emulated timer works, and then it panics.
  'no_timer_check',
];

/** A quiet serial line: each character costs time. With 0 in place of 1 the kernel would not even show why it panics. */
const QUIET = ['quiet', 'loglevel=1'];

/**
 * An emulator keeps what it has translated of a page until it sees the page written to, and a virtiofsd writes behind its back: a program read into a page in
 * which another ran would run as that one. A kernel that clears each page that it takes writes to it before. It does so by itself as a rule, unless a profile
 * says otherwise.
 */
const CLEARED_PAGES = 'init_on_alloc=1';

const DEBUG = ['debug', 'loglevel=10', 'printk.time=1'];

type BootTuning = Pick<Profile, 'kernelArguments' | 'initcallBlacklist' | 'moduleSignatures'>;

export interface CommandLineOptions {
  /** Show every kernel message, and the init's own steps. */
  readonly debug?: boolean;
  /** The serial line of the log, and of what a panic prints. */
  readonly console?: 'ttyS0' | 'ttyS1' | undefined;
  /** Other processes than the emulator write to its memory: virtiofsd. */
  readonly writtenBehindEmulator?: boolean;
  /** About processors: {@link processorArguments}. */
  readonly processors?: readonly string[];
}

export function kernelCommandLine(
  { kernelArguments, initcallBlacklist, moduleSignatures }: BootTuning,
  { debug = false, console = 'ttyS0', writtenBehindEmulator = false, processors = [] }: CommandLineOptions,
): string {
  const forInit = [...(debug ? ['--debug'] : []), ...(moduleSignatures === 'unchecked' ? ['--unchecked-modules'] : [])];
  const skipped = initcallBlacklist.map(({ initcall }) => initcall);
  return [
    `console=${console}`,
    ...ALWAYS,
    ...processors,
    ...kernelArguments.map(({ argument }) => argument),
    // The last one counts.
    ...(writtenBehindEmulator ? [CLEARED_PAGES] : []),
    ...(skipped.length === 0 ? [] : [`initcall_blacklist=${skipped.join(',')}`]),
    ...(debug ? [...DEBUG, `earlyprintk=serial,${console}`] : QUIET),
    ...(forInit.length === 0 ? [] : ['--', ...forInit]),
  ].join(' ');
}
