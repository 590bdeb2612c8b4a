/** The command line, parsed. */
import yargs from 'yargs';
import { SandboxError } from '../errors.js';
import { epilogue, options, usage } from './options.js';

export interface Arguments {
  readonly connect?: string;
  readonly name?: string;
  readonly root?: string;
  readonly mount?: string[];
  readonly include?: string[];
  readonly includefile?: string;
  readonly disk?: string[];
  readonly env?: string[];
  readonly network?: string[];
  readonly security?: string;
  readonly cpuShares?: string;
  readonly cpuPin?: string;
  readonly diskLimit?: string[];
  readonly netLimit?: string[];
  readonly privileged?: boolean;
  readonly switchto?: string;
  readonly cwd?: string;
  readonly image?: string;
  readonly kernver?: string;
  readonly kernpath?: string;
  readonly kmodpath?: string;
  readonly memory?: string;
  readonly vcpus?: string;
  readonly accel?: string;
  readonly profile?: string;
  readonly bootTimeout?: string;
  readonly printXml?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly debug?: boolean;
  readonly command: readonly string[];
}

/** What the command line asks for. */
export type Request = { readonly run: Arguments } | { readonly print: string };

/**
 * The first word that is not an option begins the command; nothing behind it is looked at.
 * @throws {SandboxError} `usage` for an option that is not known or has no value
 */
export async function parseArguments(argv: readonly string[], version: string): Promise<Request> {
  const { own, command } = split(argv);
  const parser = yargs([...own])
    .scriptName('virt-sandbox')
    .usage(usage)
    .options(options)
    .help('help')
    .alias('help', 'h')
    .version(`virt-sandbox ${version}`)
    .alias('version', 'V')
    .epilogue(epilogue)
    .wrap(110)
    .strictOptions()
    .parserConfiguration({
      'camel-case-expansion': true,
      'boolean-negation': false,
      'dot-notation': false,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .exitProcess(false);
  let printed = '';
  let failure: string | undefined;
  const parsed = await parser.parseAsync(
    [...own],
    {},
    (error: Error | undefined | null, _argv: unknown, output: string) => {
      if (error) failure = error.message;
      printed = output;
    },
  );
  if (failure !== undefined) throw usageError(failure);
  if (parsed['help'] === true || parsed['version'] === true) return { print: `${printed}\n` };
  return { run: { ...lastOfEach(parsed), command } };
}

/** Of an option that was given more than once the last counts, unless it is one that repeats. */
function lastOfEach(parsed: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]) => [
      name,
      Array.isArray(value) && !repeated.has(name) ? value.at(-1) : value,
    ]),
  );
}

const repeated = new Set(
  Object.entries(options).flatMap(([name, option]) =>
    'array' in option ? ['alias' in option ? option.alias : camelCase(name), name] : [],
  ),
);

/** As yargs also calls an option whose name has hyphens in it. */
function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The options that take a value, by every name that they have. */
const valued = new Set(
  Object.entries(options).flatMap(([name, option]) =>
    option.type === 'string' ? ['alias' in option ? `-${option.alias}` : '', `--${name}`] : [],
  ),
);

/** Splits before the first word that is not an option, or at `--`. */
function split(argv: readonly string[]): { own: readonly string[]; command: readonly string[] } {
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (word === '--') return { own: argv.slice(0, at), command: argv.slice(at + 1) };
    if (!word.startsWith('-') || word === '-') return { own: argv.slice(0, at), command: argv.slice(at) };
    if (takesNext(word)) at += 1;
  }
  return { own: argv, command: [] };
}

/** True when the word's option has its value in the next word: `--name x`, `-n x`, `-vn x`, but not `--name=x` or `-nx`. */
function takesNext(word: string): boolean {
  if (word.startsWith('--')) return valued.has(word);
  for (let at = 1; at < word.length; at += 1) {
    if (valued.has(`-${word[at]}`)) return at === word.length - 1;
  }
  return false;
}

function usageError(message: string): SandboxError {
  return new SandboxError({
    stage: 'arguments',
    code: 'usage',
    message: message.split('\n')[0] ?? message,
    remedy: 'see virt-sandbox --help',
  });
}
