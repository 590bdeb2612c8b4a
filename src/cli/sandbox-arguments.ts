/** The command line of virt-sandbox, parsed. */
import type { Options } from 'yargs';
import { refuseRaw } from './argv.js';
import { readCommandLine } from './command-line.js';
import { options } from './sandbox-options.js';
import { usageError } from './usage-error.js';

/** `boot-timeout` becomes `bootTimeout`. */
type CamelCase<Name extends string> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

type Value<Option extends Options> = Option extends { array: true }
  ? readonly string[]
  : Option extends { type: 'boolean' }
    ? true
    : string;

/** The options that were given, by long name in camel case, and the command after them. */
export type Arguments = {
  readonly [Name in keyof typeof options as CamelCase<Name>]?: Value<(typeof options)[Name]>;
} & { readonly command: readonly string[] };

/** Run a sandbox, or print the help or the version. */
export type Request = { readonly run: Arguments } | { readonly asks: 'help' | 'version' };

/**
 * Reads the command line of virt-sandbox. The first word that is not an option begins the command; words after it are
 * not read as options.
 * @throws {SandboxError} `usage` for an unknown option or a missing value, `not-utf8`
 */
export function parseArguments(argv: readonly string[]): Request {
  const { values, asks, rest } = readCommandLine(argv, options, 'virt-sandbox');
  if (asks) return { asks };
  for (const [name, value] of values) {
    if (name !== 'env' && value !== true) for (const word of [value].flat()) refuseRaw(word, `the value of --${name},`);
  }
  const named = Object.fromEntries([...values].map(([name, value]) => [camelCase(name), value]));
  // The table of options guarantees these types.
  return { run: { ...(named as Omit<Arguments, 'command'>), command: rest } };
}

/** What may go with `--attach`. */
const WITH_ATTACH: readonly (keyof Arguments)[] = ['attach', 'command', 'verbose', 'debug'];

/** What starts nothing. */
const UNHELD: readonly (keyof typeof options)[] = ['save-config', 'print-xml', 'dry-run'];

/**
 * Refuses options that the others would make useless.
 * @throws {SandboxError} `usage`
 */
export function checkTogether(args: Arguments): void {
  const names = Object.keys(options) as (keyof typeof options)[];
  const idle = names.filter((name) => {
    const key = camelCase(name) as keyof Arguments;
    return args[key] !== undefined && !WITH_ATTACH.includes(key);
  });
  if (args.attach !== undefined && idle.length > 0) {
    const shown = idle.map((name) => `--${name}`).join(', ');
    throw usageError(`--attach starts nothing and cannot go with ${shown}`, 'virt-sandbox');
  }
  const unheld = UNHELD.filter((name) => args[camelCase(name) as keyof Arguments] !== undefined);
  if (args.detach && unheld.length > 0) {
    const shown = unheld.map((name) => `--${name}`).join(', ');
    throw usageError(`--detach starts a sandbox and cannot go with ${shown}`, 'virt-sandbox');
  }
  if (args.json && !args.dryRun) throw usageError('--json goes with --dry-run', 'virt-sandbox');
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
