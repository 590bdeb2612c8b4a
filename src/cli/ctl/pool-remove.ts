/** virt-sandbox-ctl pool rm: ends pools. */
import { connectPool } from '../../control/pool/connect.js';
import { findPools } from '../../sandbox/state/pools.js';
import { type CtlArguments, isSet, usageError } from './arguments.js';
import { forEachName } from './each.js';

/** Prints the names of those that have ended. @returns the exit status */
export async function removePools(args: CtlArguments): Promise<number> {
  const all = isSet(args, 'all');
  if (!all && args.words.length === 0) throw usageError('pool rm lacks its NAME', 'pool rm');
  const names = all ? findPools().map(({ name }) => name) : args.words;
  const force = isSet(args, 'force');
  return forEachName(
    names,
    async (name) => {
      const pool = await connectPool(name);
      try {
        await pool.remove(force);
      } finally {
        await pool.close();
      }
      return name;
    },
    // One of all may end by itself meanwhile.
    { ignoreMissing: all || isSet(args, 'ignore') },
  );
}
