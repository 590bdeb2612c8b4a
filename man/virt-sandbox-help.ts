/** The help of virt-sandbox, laid out by yargs while building. */
import yargs from 'yargs';
import { epilogue, options, usage } from '../src/cli/sandbox-options.js';
import { COMMON } from './program-description.js';

/** Columns of the widest line. */
export const WIDTH = 110;

/** virt-sandbox-bake and virt-sandbox-bench load yargs and lay out their help when asked; their start is not timed. */
export async function virtSandboxHelp(): Promise<string> {
  const parser = yargs([])
    .scriptName('virt-sandbox')
    .help(false)
    .version(false)
    .usage(usage)
    .options({ ...options, ...COMMON })
    .epilogue(epilogue)
    .wrap(WIDTH);
  return `${await parser.getHelp()}\n`;
}
