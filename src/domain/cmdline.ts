/**
 * The kernel's command line. It never has the application's arguments, environment or paths: those travel over the
 * channel. Optional arguments are in the profiles (profiles/*.json), with what each gains and risks.
 *
 * https://docs.kernel.org/admin-guide/kernel-parameters.html
 */
import type { Profile } from '../profile/types.js';

/** Arguments of every boot. */
const ALWAYS = [
  // A panic ends the machine at once, with its message on the console.
  'panic=-1',
  // The kernel checks that the emulated timer ticks. On a busy host it may see no tick in time, and would panic.
  'no_timer_check',
];

/** Each character on the serial line costs time. With loglevel 0 the kernel would not even show why it panics. */
const QUIET = ['quiet', 'loglevel=1'];

/**
 * TCG keeps the translated code of a page until the guest writes to the page. It does not see virtiofsd write: a
 * program that virtiofsd reads into a page where another program ran would run as that one. A kernel that clears each
 * page before use writes to it. Most kernels do so by default, but a profile may turn it off.
 */
const CLEARED_PAGES = 'init_on_alloc=1';

const DEBUG = ['debug', 'loglevel=10', 'printk.time=1'];

type BootTuning = Pick<Profile, 'kernelArguments' | 'initcallBlacklist' | 'moduleSignatures'>;

export interface CommandLineOptions {
  /** Show every kernel message and the init's steps. */
  readonly debug?: boolean;
  /** The serial line for the log and for panics. */
  readonly console?: 'ttyS0' | 'ttyS1' | undefined;
  /** Another process than the emulator writes to the guest's memory: virtiofsd. */
  readonly writtenBehindEmulator?: boolean;
  /** From {@link processorArguments}. */
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
    // The last value of an argument wins.
    ...(writtenBehindEmulator ? [CLEARED_PAGES] : []),
    ...(skipped.length === 0 ? [] : [`initcall_blacklist=${skipped.join(',')}`]),
    ...(debug ? [...DEBUG, `earlyprintk=serial,${console}`] : QUIET),
    ...(forInit.length === 0 ? [] : ['--', ...forInit]),
  ].join(' ');
}
