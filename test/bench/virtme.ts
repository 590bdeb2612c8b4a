/** Benchmark `virtme`: a whole `virt-sandbox -- /bin/true` against the same with virtme-ng. */
import { COLD } from '../../src/bench/run/baseline.js';
import { virtmeArgv } from '../../src/bench/run/commands.js';
import type { Context } from './context.js';
import { quantity, type Row, timesFaster } from './row.js';
import { interleave } from './run.js';

/** Each run of virtme-ng takes about 20 s. */
const RUNS = 2;

export async function virtmeRows({ program, virtme, progress }: Context): Promise<Row[]> {
  const what = '`virt-sandbox -- /bin/true`, how many times faster than virtme-ng';
  if ('missing' in virtme) return [{ what, skipped: virtme.missing }];
  const seconds = await interleave(
    [
      { label: 'virt-sandbox', argv: [program, ...COLD, '--', '/bin/true'] },
      { label: 'virtme-ng', argv: virtmeArgv(virtme, 'tcg', '/bin/true'), retries: 2 },
    ],
    RUNS,
    progress,
  );
  const reference = { name: '`vng --run … --disable-kvm -- /bin/true`', ...quantity(seconds['virtme-ng'], 's') };
  return [timesFaster(what, quantity(seconds['virt-sandbox'], 's'), reference, 7)];
}
