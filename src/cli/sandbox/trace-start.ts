/** VIRT_SANDBOX_TRACE, for each program that starts sandboxes. */
import { mark } from '../../util/marks.js';

/** Marks the start of this process, and has all marks written to the file that the variable names, if it is set. */
export async function traceStart(): Promise<void> {
  const traced = process.env['VIRT_SANDBOX_TRACE'];
  if (traced) (await import('./write-marks.js')).writeMarks(traced);
  mark('cli.start');
}
