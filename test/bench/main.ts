/** The benchmarks: node scripts/bench.mjs [--runs N] [--only NAME]… [--json] */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { findVirtme, imageFacts, programPath } from '../../src/bench/run/commands.js';
import { hostFacts, hostText, programVersion, QUIET_LOAD } from '../../src/bench/run/host.js';
import { defined } from '../../src/util/records.js';
import { bootRows } from './boot.js';
import type { Context, Measured } from './context.js';
import { dataRows } from './data.js';
import { diskRows } from './disks.js';
import { execRows } from './exec.js';
import { helpRows } from './help.js';
import { imageRows, initrdRows } from './image.js';
import { imagesRows } from './images.js';
import { poolRows, poolShellAlone, takesRows } from './pool.js';
import { poolKvmRows } from './pool-kvm.js';
import { portRows } from './ports.js';
import { preparedRows } from './prepared.js';
import { rootRows } from './roots.js';
import type { Row } from './row.js';
import { screenRows } from './screens.js';
import { markdownTable } from './table.js';
import { throughputRows } from './throughput.js';
import { virtmeRows } from './virtme.js';
import { warmRows } from './warm.js';

const BENCHMARKS: Readonly<Record<string, (context: Context) => Promise<Row[]>>> = {
  boot: bootRows,
  warm: warmRows,
  pool: poolRows,
  ports: portRows,
  virtme: virtmeRows,
  image: imageRows,
  initrd: initrdRows,
  throughput: throughputRows,
  help: helpRows,
  exec: execRows,
  disks: diskRows,
  data: dataRows,
  images: imagesRows,
  roots: rootRows,
  takes: takesRows,
  'pool-kvm': poolKvmRows,
  'pool-shell': poolShellAlone,
  screens: screenRows,
  prepared: preparedRows,
};

/** These take minutes, or are part of others, so they are measured only where they are asked for. */
const SEPARATE = ['disks', 'data', 'images', 'roots', 'takes', 'pool-kvm', 'pool-shell', 'screens', 'prepared'];

const DEFAULTS = { runs: '7', scale: '1', minutes: 'Infinity' };
/** In an emulated machine everything takes many times as long. */
const NESTED_DEFAULTS = { runs: '1', scale: '0.05', minutes: '40' };

interface Options {
  readonly runs: number;
  readonly names: readonly string[];
  readonly json: boolean;
  readonly scale: number;
  readonly minutes: number;
  readonly page: string | undefined;
  readonly nested: boolean;
}

/**
 * Runs the benchmarks, and prints the table.
 * @param version Version of virt-sandbox, with its revision.
 * @returns the exit status: 0 even if a limit is missed, since a benchmark is no test; 1 if a benchmark failed; 2 for
 *   wrong arguments
 */
export async function bench(argv: readonly string[], version: string): Promise<number> {
  let options: Options;
  try {
    options = parse(argv);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 2;
  }
  // Not in /tmp: the guest has a /tmp of its own.
  const scratch = mkdtempSync('/var/tmp/virt-sandbox-bench-');
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  chmodSync(scratch, 0o755);
  const program = programPath();
  const image = imageFacts(program);
  const virtme = findVirtme(image.kernelVersion);
  const { runs, scale, minutes, page, nested } = options;
  const versions = { virtme: 'missing' in virtme ? 'none' : programVersion(virtme.program) };
  const machine = { ...hostFacts(image), ...versions };
  const describe = (of: Measured = machine) => `virt-sandbox ${version}; ${hostText(of)}; virtme-ng ${of.virtme}`;
  return measure(
    { runs, program, image, scratch, progress: say, virtme, scale, minutes, page, nested, describe },
    options,
    machine,
    version,
  );
}

async function measure(
  context: Context,
  { names, json }: Options,
  machine: Measured,
  version: string,
): Promise<number> {
  if (machine.load > QUIET_LOAD) say(`the load is ${machine.load.toFixed(2)}: other work will show in the figures`);
  const rows: Row[] = [];
  const failures: string[] = [];
  for (const name of names) {
    try {
      rows.push(...((await BENCHMARKS[name]?.(context)) ?? []));
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      say(failures.at(-1) ?? '');
    }
  }
  process.stdout.write(
    json
      ? `${JSON.stringify({ version, machine, rows, failures }, null, 2)}\n`
      : `${context.describe()}\n\n${markdownTable(rows)}`,
  );
  return failures.length === 0 ? 0 : 1;
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: 'string' },
      only: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      scale: { type: 'string' },
      minutes: { type: 'string' },
      page: { type: 'string' },
      nested: { type: 'boolean', default: false },
    },
  });
  const { nested } = values;
  const words = { ...(nested ? NESTED_DEFAULTS : DEFAULTS), ...defined(values) };
  const [runs, scale, minutes] = [words.runs, words.scale, words.minutes].map(Number) as [number, number, number];
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs takes a whole number from 1, not ${words.runs}`);
  const names = values.only ?? Object.keys(BENCHMARKS).filter((name) => !SEPARATE.includes(name));
  const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined) {
    throw new Error(`--only takes ${Object.keys(BENCHMARKS).join(', ')}, not ${unknown}`);
  }
  if (nested && names.some((name) => name !== 'data')) throw new Error('--nested goes with --only data, and no other');
  if (!(scale > 0 && scale <= 1)) throw new Error(`--scale takes a number above 0 and up to 1, not ${words.scale}`);
  if (!(minutes > 0)) throw new Error(`--minutes takes a number above 0, not ${words.minutes}`);
  return { runs, names, json: values.json, scale, minutes, page: values.page, nested };
}

function say(message: string): void {
  process.stderr.write(`bench: ${message}\n`);
}
