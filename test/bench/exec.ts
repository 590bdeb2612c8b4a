/** Benchmark `exec`: a command in a detached sandbox, from a shell, and what its holder takes. */
import type { Context } from './context.js';
import { forInformation, quantity, type Row, within } from './row.js';
import { interleave, timed } from './run.js';

/** These runs are short and easily disturbed, so there are more of them. */
const TIMES_THE_RUNS = 3;

export async function execRows({ program, runs, progress }: Context): Promise<Row[]> {
  const name = `bench-exec-${process.pid}`;
  const ctl = `${program}-ctl`;
  await timed({ label: 'start', argv: [program, '-c', 'qemu:///embed', '--detach', '-n', name] });
  try {
    const seconds = await interleave(
      [
        // As the program starts it.
        { label: 'node', argv: ['env', '-u', 'NODE_EXTRA_CA_CERTS', process.execPath, '-e', '0'] },
        { label: 'exec', argv: [ctl, 'exec', name, 'true'] },
      ],
      runs * TIMES_THE_RUNS,
      progress,
    );
    const { stdout } = await timed({ label: 'stats', argv: [ctl, 'stats', '--no-stream', '--json', name] });
    const [stats] = JSON.parse(stdout) as { holderBytes: number }[];
    const reference = { name: '`node -e 0`', ...quantity(seconds.node, 'ms', 1e3) };
    return [
      forInformation('`virt-sandbox-ctl exec NAME true`', quantity(seconds.exec, 'ms', 1e3), reference),
      within('memory of the holder of that sandbox', { amount: (stats?.holderBytes ?? 0) / 1e6, unit: 'MB' }, 60),
    ];
  } finally {
    await timed({ label: 'stop', argv: [ctl, 'stop', '--time', '0', name] });
  }
}
