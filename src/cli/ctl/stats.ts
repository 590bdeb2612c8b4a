/** virt-sandbox-ctl stats: what sandboxes use of the host. */
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { oneLine } from '../../util/errors.js';
import { columns, jsonText } from '../output.js';
import { Printer } from '../terminal/output.js';
import { type CtlArguments, isSet, textOf, wantsJson } from './arguments.js';
import { bytesText, cpuText } from './human.js';
import { type Sample, StatsWatch } from './stats-watch.js';
import { optionMs } from './times.js';

const INTERVAL_MS = 5000;
const HOUR_MS = 3_600_000;
/** To the top left, and erases the screen. */
const CLEAR = '\u001b[H\u001b[J';

export async function stats(args: CtlArguments): Promise<number> {
  const bounds = { least: 100, most: HOUR_MS };
  const interval = optionMs(textOf(args, 'interval'), '--interval', 'stats', bounds) ?? INTERVAL_MS;
  const asJson = wantsJson(args, 'stats');
  const once = isSet(args, 'no-stream');
  const clear = !once && !asJson && !isSet(args, 'no-reset') && isatty(1) ? CLEAR : '';
  const watch = new StatsWatch(args.words, { all: isSet(args, 'all') });
  const printer = new Printer();
  try {
    for (;;) {
      const samples = await watch.sample();
      await printer.write(clear + (asJson ? jsonText(samples) : statsText(samples)));
      await printer.flush();
      if (once || watch.isOver) return watch.status;
      await delay(interval);
    }
  } finally {
    await watch.close();
  }
}

const HEADINGS = ['NAME', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'HOLDER', 'PIDS', 'CPU TIME'];

/** The table. */
export function statsText(samples: readonly Sample[]): string {
  const rows = samples.map((sample) => [
    oneLine(sample.name),
    percent(sample.cpuPercent),
    `${bytesText(sample.memoryBytes)} / ${bytesText(sample.memoryLimit)}`,
    percent((100 * sample.memoryBytes) / sample.memoryLimit),
    bytesText(sample.holderBytes),
    String(sample.processes),
    cpuText(sample.cpuSeconds),
  ]);
  return columns([HEADINGS, ...rows])
    .map((line) => `${line}\n`)
    .join('');
}

function percent(number: number): string {
  return `${number.toFixed(2)}%`;
}
