/** The program virt-sandbox. What only a run needs is loaded after the command line is read. */
import { givenWords } from '../argv.js';
import { HOLD, HOLD_POOL } from '../hold/caller.js';
import { runProgram } from '../program.js';
import { runWords } from './run-words.js';
import { traceStart } from './trace-start.js';

runProgram('virt-sandbox', main);

async function main(): Promise<number> {
  await traceStart();
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
