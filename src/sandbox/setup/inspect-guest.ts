/** Reads a guest's clock and kernel log for a timeline. Only for starts that are measured. */

import { type Guest, OperationError } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';

/** How often the clock is read. The reading with the shortest round trip counts. */
const CLOCK_READINGS = 8;
/** One of its first lines is "now at N nsecs", CLOCK_MONOTONIC. Reading the whole file takes long. */
const TIMERS = '/proc/timer_list';
const LIMIT = 131_072;
const TIMEOUT_MS = 20_000;

/** The guest returns the last 64 KiB that a helper prints, and the clock readings before the log must fit too. */
const LOG_BYTES = 60_000;

/**
 * An awk program that shortens the output of dmesg. A kernel has a thousand initcalls that take no time: the lines of
 * calls below 0.1 ms are left out, and of longer ones if the log is larger than LOG_BYTES, as on a busy host. If an
 * initcall printed nothing, its time by the log's clock is appended: the kernel measures early initcalls in ticks of 4
 * ms.
 */
export const SHORTEN_LOG = `
BEGIN { FS = "[][]" }
{
  gap = $2 - last; last = $2; called = calling; calling = /[]] calling  /
  returned = called && / returned .* after /
  line[NR] = returned ? sprintf("%s @@%.6f", $0, gap) : $0
  cost[NR] = calling || returned ? gap : 1e9
}
END {
  for (least = 0.0001; least < 1e8; least *= 2) {
    size = 0
    for (at = 1; at <= NR; at++) if (cost[at] >= least) size += length(line[at]) + 1
    if (size <= ${LOG_BYTES}) break
  }
  for (at = 1; at <= NR; at++) if (cost[at] >= least) print line[at]
}`;

/** The log's clock differs from the system's by a constant. A line that is logged between two readings tells it. */
const LOG = `
now() { while read -r line; do case $line in now*) echo "$1 $line"; break;; esac; done <${TIMERS}; }
now clock-before
echo virt-sandbox-clock >/dev/kmsg
now clock-after
dmesg | awk '${SHORTEN_LOG}'`;

/** Publishes the marks `inspect.clock` and `inspect.log`, with `failed` for what cannot be read. */
export async function inspectGuest(guest: Guest): Promise<void> {
  for (let reading = 0; reading < CLOCK_READINGS; reading += 1) {
    const sent = process.hrtime.bigint();
    await attempt('inspect.clock', async () => {
      const { value } = await guest.call({ op: 'readFile', path: TIMERS, limit: LIMIT }, TOLERATED);
      const received = process.hrtime.bigint();
      const nanoseconds = /^now at (\d+) nsecs/m.exec(Buffer.from(value).toString('latin1'))?.[1];
      return { sent, received, guest: nanoseconds === undefined ? undefined : Number(nanoseconds) };
    });
  }
  await attempt('inspect.log', async () => {
    const environment = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
    const argv = ['/bin/sh', '-c', LOG];
    const run = { op: 'run', argv, environment, stdin: new Uint8Array(), timeout: TIMEOUT_MS } as const;
    const { value } = await guest.call(run, TOLERATED);
    return { status: value.status, text: Buffer.from(value.output).toString('utf8') };
  });
  mark('inspect.done');
}

/** A guest that refuses can still be measured. */
const TOLERATED = { tolerate: true, recover: true };

async function attempt(
  name: 'inspect.clock' | 'inspect.log',
  ask: () => Promise<Readonly<Record<string, unknown>>>,
): Promise<void> {
  try {
    mark(name, await ask());
  } catch (error) {
    if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    mark(name, { failed: error.message });
  }
}
