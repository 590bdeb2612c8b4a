/**
 * Benchmark `boot`: a whole `virt-sandbox -- /bin/true` against the baseline, a bare QEMU whose guest powers off at
 * once.
 */
import { bareBoot } from '../../src/bench/run/bare-boot.js';
import { baselineArgv, COLD } from '../../src/bench/run/baseline.js';
import type { Context } from './context.js';
import { forInformation, quantity, type Row, timesAsLong } from './row.js';
import { interleave } from './run.js';

export async function bootRows(context: Context): Promise<Row[]> {
  const { program, scratch } = context;
  const argv = await baselineArgv(context);
  const seconds = await interleave(
    [
      { label: 'baseline', run: () => bareBoot(argv, scratch) },
      { label: 'default', argv: [program, ...COLD, '--', '/bin/true'] },
      { label: 'embedded', argv: [program, ...COLD, '-c', 'qemu:///embed', '--', '/bin/true'] },
    ],
    context.runs,
    context.progress,
  );
  const reference = { name: 'bare QEMU', ...quantity(seconds.baseline, 's') };
  return [
    timesAsLong(
      `\`virt-sandbox -- /bin/true\` (${context.image.uri})`,
      quantity(seconds.default, 's'),
      reference,
      1.35,
    ),
    forInformation('`virt-sandbox -c qemu:///embed -- /bin/true`', quantity(seconds.embedded, 's'), reference),
  ];
}
