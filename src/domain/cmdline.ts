/**
 * The kernel's command line. Nothing that a person wrote goes here: arguments, environment and paths travel over the channel alone.
 *
 * https://docs.kernel.org/admin-guide/kernel-parameters.html
 */

/** Arguments of every boot. */
const ALWAYS = [
  // The log, and what a panic prints.
  'console=ttyS0',
  // A kernel that panics ends the machine at once, with its message on the console.
  'panic=-1',
];

/** A quiet serial line: each character costs time. A panic is shown all the same. */
const QUIET = ['quiet', 'loglevel=0'];

const DEBUG = ['debug', 'loglevel=10', 'earlyprintk=serial,ttyS0', 'printk.time=1', 'initcall_debug=0'];

/** @param debug show every kernel message, and the init's own steps */
export function kernelCommandLine(debug: boolean): string {
  // What stands behind `--` is for the init.
  return [...ALWAYS, ...(debug ? [...DEBUG, '--', '--debug'] : QUIET)].join(' ');
}
