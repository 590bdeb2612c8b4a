/** The command line of virt-sandbox-bake, parsed. */
import { hostPath } from '../../config/path.js';
import type { RegistryOptions } from '../../oci/registry/options.js';
import { parseReference, type Reference } from '../../oci-names/reference.js';
import type { SandboxError } from '../../util/errors.js';
import { parseRegistryOptions } from '../registry-options.js';
import { usageError as usageErrorOf } from '../usage-error.js';
import { loadYargs } from '../yargs.js';
import { type BakeCommandName, bakeCommands, bakeEpilogue, bakeUsage } from './options.js';

/** As the references of images for containers may begin. */
const DOCKER = 'docker://';

/** Values by the options' and arguments' names. */
export type BakeArguments = Readonly<Record<string, unknown>>;

export type BakeRequest =
  | { readonly command: BakeCommandName; readonly args: BakeArguments }
  | { readonly print: string };

/** @throws {SandboxError} `usage` */
export async function parseBakeArguments(argv: readonly string[], version: string): Promise<BakeRequest> {
  let chosen: BakeRequest | undefined;
  const words = joinFor(argv);
  const yargs = await loadYargs();
  const parser = yargs(words)
    .scriptName('virt-sandbox-bake')
    .usage(bakeUsage)
    .help('help')
    .alias('help', 'h')
    .version(`virt-sandbox-bake ${version}`)
    .alias('version', 'V')
    .epilogue(bakeEpilogue)
    .wrap(110)
    .demandCommand(1, 'no command was given')
    .strict()
    .parserConfiguration({
      'camel-case-expansion': true,
      'boolean-negation': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .exitProcess(false);
  for (const name of Object.keys(bakeCommands) as BakeCommandName[]) {
    const { command, describe, options } = bakeCommands[name];
    parser.command(
      command,
      describe,
      (own) => own.options(options),
      (args) => {
        chosen = { command: name, args };
      },
    );
  }
  let printed = '';
  let failure: string | undefined;
  await parser.parseAsync(words, {}, (error: Error | undefined | null, _argv: unknown, output: string) => {
    if (error) failure = error.message;
    printed = output;
  });
  if (failure !== undefined || (chosen === undefined && printed === '')) throw usageError(failure ?? 'unknown command');
  return printed !== '' || chosen === undefined ? { print: `${printed}\n` } : chosen;
}

/** Joins `--for` and its word by `=`: the word begins with a dash, and yargs would read it as an option. */
function joinFor(argv: readonly string[]): string[] {
  const at = argv.indexOf('--for');
  const value = argv[at + 1];
  return at < 0 || value === undefined ? [...argv] : [...argv.slice(0, at), `--for=${value}`, ...argv.slice(at + 2)];
}

/** The value of an option; the last one if it was given more than once. */
export function textOf(args: BakeArguments, name: string): string | undefined {
  const value = args[name];
  const last: unknown = Array.isArray(value) ? value.at(-1) : value;
  return last === undefined ? undefined : String(last);
}

/** The value of an option as an absolute path; the last one if it was given more than once. */
export function pathOf(args: BakeArguments, name: string): string | undefined {
  const path = textOf(args, name);
  return path === undefined ? undefined : hostPath(path, `--${name}`);
}

/** The values of an argument that takes several. */
export function wordsOf(args: BakeArguments, name: string): string[] {
  const value = args[name];
  return (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(String);
}

/**
 * `--authfile` and `--tls-verify`
 * @throws {SandboxError} `usage`, and what a path throws
 */
export function registryOf(args: BakeArguments): RegistryOptions {
  return parseRegistryOptions((name) => textOf(args, name), usageError);
}

/** @throws {SandboxError} `reference-invalid`, `digest-invalid` */
export function referenceOf(args: BakeArguments): Reference {
  const word = textOf(args, 'reference') ?? '';
  return parseReference(word.startsWith(DOCKER) ? word.slice(DOCKER.length) : word);
}

/** yargs adds the help to its messages, so only the first line counts. */
export function usageError(message: string): SandboxError {
  return usageErrorOf(message.split('\n')[0] ?? message, 'virt-sandbox-bake');
}
