/** The benchmarks: node scripts/bench.mjs [--runs N] [--only NAME]… [--json] */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { findVirtme, imageFacts, programPath } from '../../src/bench/run/commands.js';
import { type HostFacts, hostFacts, hostText, programVersion, QUIET_LOAD } from '../../src/bench/run/host.js';
import { bootRows } from './boot.js';
import type { Context } from './context.js';
import { dataRows } from './data.js';
import { diskRows } from './disks.js';
import { execRows } from './exec.js';
import { helpRows } from './help.js';
import { imageRows, initrdRows } from './image.js';
import { poolRows, poolShellAlone, takesRows } from './pool.js';
import { poolKvmRows } from './pool-kvm.js';
import { portRows } from './ports.js';
import type { Row } from './row.js';
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
  takes: takesRows,
  'pool-kvm': poolKvmRows,
  'pool-shell': poolShellAlone,
};

/** These take minutes, or are part of others, so they are measured only where they are asked for. */
const SEPARATE = ['disks', 'data', 'takes', 'pool-kvm', 'pool-shell'];

interface Options {
  readonly runs: number;
  readonly names: readonly string[];
  readonly json: boolean;
  readonly scale: number;
  readonly page: string | undefined;
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
  const { runs, scale, page } = options;
  const versions = { virtme: 'missing' in virtme ? 'none' : programVersion(virtme.program) };
  const machine = { ...hostFacts(image), ...versions };
  const describe = () => `virt-sandbox ${version}; ${hostText(machine)}; virtme-ng ${machine.virtme}`;
  return measure(
    { runs, program, image, scratch, progress: say, virtme, scale, page, describe },
    options,
    machine,
    version,
  );
}

async function measure(
  context: Context,
  { names, json }: Options,
  machine: HostFacts & { readonly virtme: string },
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
      runs: { type: 'string', default: '7' },
      only: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      scale: { type: 'string', default: '1' },
      page: { type: 'string' },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs takes a whole number from 1, not ${values.runs}`);
  const names = values.only ?? Object.keys(BENCHMARKS).filter((name) => !SEPARATE.includes(name));
  const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined) {
    throw new Error(`--only takes ${Object.keys(BENCHMARKS).join(', ')}, not ${unknown}`);
  }
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 1)) throw new Error(`--scale takes a number above 0 and up to 1, not ${values.scale}`);
  return { runs, names, json: values.json, scale, page: values.page };
}

function say(message: string): void {
  process.stderr.write(`bench: ${message}\n`);
}
