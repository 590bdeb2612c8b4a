/** virt-sandbox-ctl pool create: has a process hold sandboxes that wait. */
import { join } from 'node:path';
import { parseWhole } from '../../config/parsers/number.js';
import { packageDirectory } from '../../util/programs.js';
import { HOLD_POOL } from '../hold/caller.js';
import { startHolder } from '../hold/start-holder.js';
import { checkTemplateVariables } from '../pool-variables.js';
import { checkTemplate, parseArguments } from '../sandbox-arguments.js';
import { type CtlArguments, textOf, usageError } from './arguments.js';

const SIZE = '2';
const MOST = 64;

/** Prints the name when the first sandbox waits. @returns the exit status */
export async function createPool(args: CtlArguments): Promise<number> {
  const [name = '', ...words] = args.words;
  const size = parseWhole(textOf(args, 'size') ?? SIZE, '--size', 1, MOST);
  const request = parseArguments(words);
  if ('asks' in request) throw usageError(`--${request.asks} is no option of sandboxes`, 'pool create');
  checkTemplate(request.run);
  checkTemplateVariables(process.env);
  // The program that starts sandboxes: this one does not load what that needs.
  const script = join(packageDirectory(), 'bin', 'virt-sandbox');
  return startHolder({ script, role: HOLD_POOL, what: 'the pool' }, [name, String(size), ...words]);
}
