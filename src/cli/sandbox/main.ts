/** The program virt-sandbox. What only a run needs is loaded after the command line is read. */
import { mark } from '../../util/marks.js';
import { givenWords } from '../argv.js';
import { readHelp } from '../help.js';
import { runProgram } from '../program.js';
import { parseArguments } from '../sandbox-arguments.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';
import { HOLD } from './caller.js';

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
  const request = parseArguments(words);
  mark('cli.parsed');
  if ('asks' in request) {
    await print(request.asks === 'help' ? readHelp('virt-sandbox') : `virt-sandbox version ${version}\n`);
    return 0;
  }
  const { run } = await import('./run.js');
  return run(request.run, words);
}
