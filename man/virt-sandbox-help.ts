/** The help of a program, laid out by yargs. */
import yargs from 'yargs';
import { epilogue, options, usage } from '../src/cli/options.js';
import { COMMON } from './program-description.js';

/** Columns of the widest line. */
const WIDTH = 110;

/** The help of virt-sandbox. The other programs have yargs lay out theirs when they are asked: nobody starts them by the thousand. */
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
