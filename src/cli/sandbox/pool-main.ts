/**
 * The program virt-sandbox for `--pool`: a bundle without what starts a sandbox, since to load that takes as long as the
 * take of a sandbox (docs/decisions/0043-pools.md). `--pool` may also be a word of the command, and then the whole
 * program runs.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageDirectory } from '../../util/programs.js';
import { givenWords } from '../argv.js';
import { runProgram } from '../program.js';
import { type Arguments, parseArguments } from '../sandbox-arguments.js';
import { runInPool } from './in-pool.js';

const args = pooledArguments();
if (args?.pool === undefined) runWhole();
else runProgram('virt-sandbox', () => runInPool(args.pool ?? '', args));

/** By the program that runs bundles: one that is run so cannot import by a name that it computes. */
function runWhole(): void {
  const dist = createRequire(join(packageDirectory(), 'dist', 'compiled.cjs'));
  (dist('./compiled.cjs') as typeof import('../compiled.js')).runCompiled('virt-sandbox');
}

/** Undefined: they ask for something else, or are wrong, which the whole program tells. */
function pooledArguments(): Arguments | undefined {
  if (process.env['VIRT_SANDBOX_TRACE']) return undefined;
  try {
    const request = parseArguments(givenWords());
    return 'run' in request ? request.run : undefined;
  } catch {
    return undefined;
  }
}
