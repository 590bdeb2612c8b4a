/** The journal inside a service. */

import type { LogRecord, ReadLogOptions } from '../../control/log.js';
import type { SandboxProcess } from '../../sandbox/process/process.js';
import { loadService } from '../../service/file.js';
import { serviceRoots } from '../../service/paths.js';
import { withoutUnits } from '../../service/run/errors.js';
import { connectService } from '../../service/run/talk.js';
import { LogPrinter } from '../ctl/logs.js';

/** @returns the exit status of journalctl */
export async function journal(name: string, { since, tail, follow }: ReadLogOptions): Promise<number> {
  const { config } = await loadService(serviceRoots(), name);
  if (config.service?.type !== 'systemd')
    throw withoutUnits(name, `read what it has written: virt-sandbox-service logs ${name}`);
  await using sandbox = await connectService(name);
  const words = [
    'journalctl',
    '--no-pager',
    ...(follow ? ['--follow'] : []),
    `--lines=${tail ?? 'all'}`,
    ...(since === undefined ? [] : [`--since=@${Math.floor(since.getTime() / 1000)}`]),
  ];
  const reading = await sandbox.spawn(words, { user: 'root' });
  reading.stdin.end();
  await new LogPrinter({ timestamps: false, isForeign: true }).print(recordsOf(reading));
  return (await reading.exited).exitCode;
}

/** Its stderr is short, and said behind the rest. */
async function* recordsOf(reading: SandboxProcess): AsyncGenerator<LogRecord> {
  for await (const bytes of reading.stdout) yield { time: new Date(), stream: 'stdout', bytes: bytes as Buffer };
  for await (const bytes of reading.stderr) yield { time: new Date(), stream: 'stderr', bytes: bytes as Buffer };
}
