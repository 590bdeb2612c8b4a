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
    : Option extends { requiresArg: false }
      ? string | true
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
const UNHELD: readonly (keyof Arguments)[] = ['saveConfig', 'printXml', 'dryRun'];

/** What may go with `--pool`: what is about the command. */
const WITH_POOL: readonly (keyof Arguments)[] = [
  ...(['pool', 'command', 'name', 'env', 'cwd', 'switchto', 'timeout', 'publish', 'detach'] as const),
  ...(['verbose', 'debug'] as const),
];

/** What a pool cannot be made with: it is about one sandbox, or starts none. */
const NOT_OF_POOLS: readonly (keyof Arguments)[] = [
  ...(['pool', 'name', 'timeout', 'publish', 'detach', 'attach'] as const),
  ...(['saveConfig', 'printXml', 'dryRun', 'json', 'view'] as const),
];

/**
 * Refuses options with `--pool` that are about the machine.
 * @throws {SandboxError} `usage`
 */
export function checkWithPool(args: Arguments): void {
  const others = given(args, (key) => !WITH_POOL.includes(key));
  if (others.length > 0)
    throw usageError(
      `--pool cannot go with ${others.join(', ')}: the options of virt-sandbox-ctl pool create decide it`,
      'virt-sandbox',
    );
}

/**
 * Refuses options that the sandboxes of a pool cannot be started with.
 * @throws {SandboxError} `usage`
 */
export function checkTemplate(args: Arguments): void {
  const unfit = given(args, (key) => NOT_OF_POOLS.includes(key));
  const program = 'virt-sandbox-ctl pool create';
  if (unfit.length > 0) throw usageError(`the sandboxes of a pool cannot have ${unfit.join(', ')}`, program);
  if (args.command.length > 0) throw usageError('a pool has no command; give it to virt-sandbox --pool NAME', program);
}

/** The options that were given and that are meant. */
function given(args: Arguments, isMeant: (key: keyof Arguments) => boolean): string[] {
  return Object.keys(options)
    .filter((name) => {
      const key = camelCase(name) as keyof Arguments;
      return args[key] !== undefined && isMeant(key);
    })
    .map((name) => `--${name}`);
}

/**
 * Refuses options that the others would make useless.
 * @throws {SandboxError} `usage`
 */
export function checkTogether(args: Arguments): void {
  const idle = given(args, (key) => !WITH_ATTACH.includes(key));
  if (args.attach !== undefined && idle.length > 0)
    throw usageError(`--attach starts nothing and cannot go with ${idle.join(', ')}`, 'virt-sandbox');
  const unheld = given(args, (key) => UNHELD.includes(key));
  if (args.detach && unheld.length > 0)
    throw usageError(`--detach starts a sandbox and cannot go with ${unheld.join(', ')}`, 'virt-sandbox');
  if (args.detach && args.view !== undefined)
    throw usageError(
      '--view cannot go with --detach, which leaves nobody to look: run virt-sandbox-ctl view NAME, or give a viewer ' +
        'the vncSocket of virt-sandbox-ctl inspect NAME',
      'virt-sandbox',
    );
  if (args.json && !args.dryRun) throw usageError('--json goes with --dry-run', 'virt-sandbox');
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
