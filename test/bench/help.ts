/** Benchmark `help`: how long the program itself takes to start. */
import type { Context } from './context.js';
import { quantity, type Row, timesAsLong } from './row.js';
import { interleave } from './run.js';

/** These runs are short and easily disturbed, so there are more of them. */
const TIMES_THE_RUNS = 3;

export async function helpRows({ program, runs, progress }: Context): Promise<Row[]> {
  const seconds = await interleave(
    [
      // As the program starts it.
      { label: 'node', argv: ['env', '-u', 'NODE_EXTRA_CA_CERTS', process.execPath, '-e', '0'] },
      { label: 'help', argv: [program, '--help'] },
    ],
    runs * TIMES_THE_RUNS,
    progress,
  );
  const reference = { name: '`node -e 0`', ...quantity(seconds.node, 'ms', 1e3) };
  return [timesAsLong('`virt-sandbox --help`', quantity(seconds.help, 'ms', 1e3), reference, 1.5)];
}
