/** The program virt-sandbox. What only a run needs is loaded after the command line is read. */
import { mark } from '../../util/marks.js';
import { givenWords } from '../argv.js';
import { readHelp } from '../help.js';
import { HOLD, HOLD_POOL } from '../hold/caller.js';
import { runProgram } from '../program.js';
import { parseArguments } from '../sandbox-arguments.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';

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
  const request = parseArguments(words);
  mark('cli.parsed');
  if ('asks' in request) {
    await print(request.asks === 'help' ? readHelp('virt-sandbox') : `virt-sandbox version ${version}\n`);
    return 0;
  }
  if (request.run.pool !== undefined) {
    const { runInPool } = await import('./in-pool.js');
    return runInPool(request.run.pool, request.run);
  }
  const { run } = await import('./run.js');
  return run(request.run, words);
}
