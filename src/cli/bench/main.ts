/** The program virt-sandbox-bench: a thin user of src/bench/. */

import type { NestedMachine } from '../../bench/nested/machine.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { runProgram } from '../program.js';
import { OUTPUT_FAILED, print, ReaderGone } from '../terminal/output.js';
import { version } from '../version.js';
import { loadYargs } from '../yargs.js';
import type { MeasureArguments, Nested } from './arguments.js';
import { checkCount } from './checks.js';
import * as measuring from './measure-commands.js';
import { NothingMeasured } from './nested.js';
import { benchCommands, epilogue, usage } from './options.js';
import * as kept from './result-commands.js';

const USAGE_ERROR = 2;
/** Options whose value is a list of options. */
const HOLDING_OPTIONS = new Set(['--options', '--against']);

runProgram('virt-sandbox-bench', main);

function main(): Promise<number> {
  return execute(process.argv.slice(2));
}

/** @param machine measures inside it */
async function execute(words: readonly string[], machine?: NestedMachine): Promise<number> {
  let status = 0;
  let help = '';
  let wrong: string | undefined;
  const [own, command] = split(words);
  const { run, compare, ablate, tune, peers, nested, history, picture, document } = benchCommands;
  const at = (name: Nested['name']) => ({ command, nested: machine && { ...machine, name } });
  // Counting is no default where it cannot be.
  const counting = { ...ablate.options.deterministic, default: machine === undefined };
  const keep = async (working: Promise<number>) => {
    status = await working;
  };
  const yargs = await loadYargs();
  const parser = yargs(own)
    .scriptName('virt-sandbox-bench')
    .usage(usage)
    .command(run.command, run.describe, run.options, (args) => keep(measuring.runCommand({ ...args, ...at('run') })))
    .command(compare.command, compare.describe, compare.options, (args) =>
      keep(compareWhat({ ...(args as unknown as CompareArguments), ...at('compare') })),
    )
    .command(ablate.command, ablate.describe, { ...ablate.options, deterministic: counting }, (args) =>
      keep(measuring.ablateCommand({ ...args, ...at('ablate') })),
    )
    .command(tune.command, tune.describe, { ...tune.options, deterministic: counting }, (args) =>
      keep(measuring.tuneCommand({ ...args, ...at('tune') })),
    )
    .command(peers.command, peers.describe, peers.options, (args) =>
      keep(measuring.peersCommand({ ...args, deterministic: false, ...at('peers') })),
    )
    .command(nested.command, nested.describe, nested.options, (args) => keep(executeInside(args, words)))
    .command(history.command, history.describe, history.options, (args) => keep(kept.historyCommand(args)))
    .command(picture.command, picture.describe, picture.options, (args) =>
      keep(kept.pictureCommand(args, filesOf(args))),
    )
    .command(document.command, document.describe, document.options, (args) => keep(kept.documentCommand(filesOf(args))))
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
      // Throwing keeps yargs from running the command.
      if (!error) wrong = message;
      throw error ?? new Error(message);
    });
  try {
    // Without a callback yargs prints the help itself and ignores that writing fails.
    await parser.parseAsync(own, {}, (_error: unknown, _args: unknown, output: string) => {
      help = output;
    });
    if (help !== '') await print(`${help}\n`);
  } catch (error) {
    if (wrong === undefined) return failed(error);
  }
  if (wrong === undefined) return status;
  process.stderr.write(`virt-sandbox-bench: ${oneLine(wrong)}; see virt-sandbox-bench --help\n`);
  return USAGE_ERROR;
}

type CompareArguments = MeasureArguments & {
  readonly FILE?: string;
  readonly AGAINST?: string;
  readonly against?: string;
  readonly threshold?: string;
};

/** Commands that measure, and not read results. */
const MEASURING = new Set(['run', 'compare', 'ablate', 'tune', 'peers']);

/** @param words those behind `--` are the command to run inside */
async function executeInside(machine: NestedMachine, words: readonly string[]): Promise<number> {
  const { memory, vcpus } = machine;
  checkCount('--vcpus', vcpus, 1);
  const inner = words.includes('--') ? words.slice(words.indexOf('--') + 1) : [];
  if (!MEASURING.has(inner[0] ?? ''))
    throw new Error(`nested takes -- and a command that measures: ${[...MEASURING].join(', ')}`);
  return execute(inner, { memory, vcpus });
}

function compareWhat(args: CompareArguments): Promise<number> {
  const { FILE, AGAINST, against, nested } = args;
  if (nested && FILE !== undefined) throw new Error('nested compares --options and --against; it has no use for files');
  if (FILE !== undefined && AGAINST !== undefined) return kept.compareFiles(args, FILE, AGAINST);
  if (FILE === undefined && against !== undefined) return measuring.compareOptions({ ...args, against });
  throw new Error('compare takes two files, or --options and --against');
}

function filesOf(args: Readonly<Record<string, unknown>>): string[] {
  const { FILE, AGAINST } = args;
  return [FILE, AGAINST].flat().filter((file): file is string => typeof file === 'string');
}

/** Splits at `--`: what follows is the command to run inside, by default one that does nothing. */
function split(argv: readonly string[]): [string[], readonly string[]] {
  const at = argv.indexOf('--');
  return at < 0 ? [joined(argv), ['/bin/true']] : [joined(argv.slice(0, at)), argv.slice(at + 1)];
}

/** Joins such an option and its value by `=`: yargs takes a value that begins with a hyphen only there. */
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
  const isOfOutput = error instanceof ReaderGone || (error instanceof SandboxError && error.code === OUTPUT_FAILED);
  if (isOfOutput) throw error;
  const text = error instanceof SandboxError ? error.line : error instanceof Error ? error.message : String(error);
  process.stderr.write(`virt-sandbox-bench: ${oneLine(text)}\n`);
  return error instanceof NothingMeasured ? error.status : 1;
}
