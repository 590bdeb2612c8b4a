/** What a command line of virt-sandbox asks for, from its words to the exit status. */
import { mark } from '../../util/marks.js';
import { readHelp } from '../help.js';
import { parseArguments } from '../sandbox-arguments.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';

/**
 * @param words behind the name of the program
 * @returns the exit status for this process
 */
export async function runWords(words: readonly string[]): Promise<number> {
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
