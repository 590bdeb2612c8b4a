/** The program virt-sandbox. What only a run needs is loaded after the command line is read. */
import { mark } from '../../util/marks.js';
import { givenWords } from '../argv.js';
import { HOLD, HOLD_POOL } from '../hold/caller.js';
import { runProgram } from '../program.js';
import { runWords } from './run-words.js';

runProgram('virt-sandbox', main);

async function main(): Promise<number> {
  const traced = process.env['VIRT_SANDBOX_TRACE'];
  if (traced) (await import('./write-marks.js')).writeMarks(traced);
  mark('cli.start');
  const words = givenWords();
  if (words[0] === HOLD) {
    const { hold } = await import('./hold.js');
    return hold();
  }
  if (words[0] === HOLD_POOL) {
    const { holdPool } = await import('./hold-pool.js');
    return holdPool();
  }
  return runWords(words);
}
