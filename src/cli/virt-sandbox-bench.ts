/** The program virt-sandbox-bench: a thin user of src/bench/. */
import yargs from 'yargs';
import { SandboxError } from '../errors.js';
import * as commands from './bench-commands.js';
import { epilogue, measuring, output, pictures, usage } from './bench-options.js';
import { version } from './version.js';

const USAGE_ERROR = 2;
/** Options whose value looks like options. */
const HOLDING_OPTIONS = new Set(['--options', '--against']);

void main().then((status) => process.exit(status));

async function main(): Promise<number> {
  process.stderr.on('error', () => {});
  let status = 0;
  let wrong: string | undefined;
  const [own, command] = split(process.argv.slice(2));
  const measured = { ...measuring, ...output, ...pictures };
  const keep = async (working: Promise<number>) => {
    status = await working;
  };
  const parser = yargs(own)
    .scriptName('virt-sandbox-bench')
    .usage(usage)
    .command(
      'run [-- COMMAND…]',
      'measure the time of a sandbox, and where it goes',
      {
        ...measured,
        floor: { type: 'boolean', default: true, describe: 'also measure a bare QEMU: the floor' },
        timeline: { type: 'boolean', default: true, describe: 'also measure one run in detail' },
      },
      (args) => keep(commands.runCommand({ ...args, command })),
    )
    .command(
      'compare [FILE] [AGAINST]',
      'compare two results, or --options with --against in turns',
      {
        ...measured,
        against: { type: 'string', requiresArg: true, describe: 'options of virt-sandbox to compare with, in quotes' },
        threshold: {
          type: 'string',
          requiresArg: true,
          describe: 'exit with 1 when it is slower by more than that (5%)',
        },
      },
      (args) => keep(compare(args as unknown as CompareArguments, command)),
    )
    .command(
      'ablate [-- COMMAND…]',
      'measure what each kernel argument, initcall, part of the machine and set of modules is worth',
      {
        ...{ ...measuring, ...output },
        deterministic: { ...measuring.deterministic, default: true },
        only: { type: 'string', requiresArg: true, describe: 'only changes that match this regular expression' },
      },
      (args) => keep(commands.ablateCommand({ ...args, command })),
    )
    .command(
      'tune',
      'search for a profile',
      {
        ...{ ...measuring, ...output },
        deterministic: { ...measuring.deterministic, default: true },
        name: { type: 'string', requiresArg: true, default: 'tuned', describe: 'name of the profile that is written' },
        to: { type: 'string', requiresArg: true, describe: 'file for it [where virt-sandbox --profile NAME finds it]' },
      },
      (args) => keep(commands.tuneCommand({ ...args, command })),
    )
    .command(
      'peers [-- COMMAND…]',
      'measure other programs that do the like, on the same kernel',
      { ...{ runs: measuring.runs, profile: measuring.profile, options: measuring.options }, ...output },
      (args) => keep(commands.peersCommand({ ...args, warmUp: 1, deterministic: false, command })),
    )
    .command('history', 'show results over time', output, (args) => keep(commands.historyCommand(args)))
    .command('picture FILE [AGAINST]', 'draw the timelines of results that were kept', pictures, (args) =>
      keep(commands.pictureCommand(args, filesOf(args))),
    )
    .command('document FILE…', 'write docs/boot-time.md from results that were kept', {}, (args) =>
      keep(commands.documentCommand(filesOf(args))),
    )
    .demandCommand(1, 'a command is missing')
    .strict()
    .help('help')
    .alias('help', 'h')
    .version(`virt-sandbox-bench ${version}`)
    .alias('version', 'V')
    .epilogue(epilogue)
    .wrap(110)
    .parserConfiguration({ 'dot-notation': false, 'greedy-arrays': false, 'parse-positional-numbers': false })
    .exitProcess(false)
    .fail((message, error) => {
      // Whatever is thrown here keeps the command from being carried out.
      if (!error) wrong = message;
      throw error ?? new Error(message);
    });
  try {
    await parser.parseAsync();
  } catch (error) {
    if (wrong === undefined) return failed(error);
  }
  if (wrong === undefined) return status;
  process.stderr.write(`virt-sandbox-bench: ${wrong}; see virt-sandbox-bench --help\n`);
  return USAGE_ERROR;
}

type CompareArguments = commands.MeasureArguments & {
  readonly FILE?: string;
  readonly AGAINST?: string;
  readonly against?: string;
  readonly threshold?: string;
};

function compare(args: CompareArguments, command: readonly string[]): Promise<number> {
  const { FILE, AGAINST, against } = args;
  if (FILE !== undefined && AGAINST !== undefined) return commands.compareFiles(args, FILE, AGAINST);
  if (FILE === undefined && against !== undefined) return commands.compareOptions({ ...args, against, command });
  throw new Error('compare takes two files, or --options and --against');
}

function filesOf(args: Readonly<Record<string, unknown>>): string[] {
  const { FILE, AGAINST } = args;
  return [FILE, AGAINST].flat().filter((file): file is string => typeof file === 'string');
}

/** What stands behind `--` is the command that is run inside; without one, one that does nothing. */
function split(argv: readonly string[]): [string[], readonly string[]] {
  const at = argv.indexOf('--');
  return at < 0 ? [joined(argv), ['/bin/true']] : [joined(argv.slice(0, at)), argv.slice(at + 1)];
}

/** yargs takes a value that begins with a hyphen only where it stands behind an equals sign. */
function joined(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const [word = '', next] = [argv[at], argv[at + 1]];
    const joins = HOLDING_OPTIONS.has(word) && next !== undefined;
    words.push(joins ? `${word}=${next}` : word);
    if (joins) at += 1;
  }
  return words;
}

function failed(error: unknown): number {
  const text = error instanceof SandboxError ? error.line : error instanceof Error ? error.message : String(error);
  process.stderr.write(`virt-sandbox-bench: ${text}\n`);
  return 1;
}
