/** Makes a sandbox from the options of a program, which may be texts of the command line. */
import { argumentError, configError, quote } from '../../config/errors.js';
import { parseDisk } from '../../config/parsers/disk.js';
import { guessFormat } from '../../config/parsers/disk-image.js';
import { parseMount } from '../../config/parsers/mount.js';
import { parseNetwork } from '../../config/parsers/network.js';
import { parseMemory } from '../../config/parsers/size.js';
import type { Disk, EnvironmentVariable, Mount, Network } from '../../config/types.js';
import { defined } from '../../util/records.js';
import type { LaunchOptions, SandboxOptions } from '../types.js';
import type { CreateOptions } from './create-types.js';
import { checkCreate, LAUNCH_KEYS } from './start-schema.js';

/**
 * @returns what `Sandbox.start` takes, but for a command
 * @throws {SandboxError} `config-key-unknown`, `config-value-invalid`, `duration-invalid`, and what the parsers throw
 */
export function createdSandbox(options: CreateOptions): {
  readonly sandbox: Omit<SandboxOptions, 'command'>;
  readonly launching: LaunchOptions;
} {
  if (typeof options !== 'object' || options === null)
    throw configError('config-value-invalid', `the sandbox is ${String(options)}`, 'let it be an object');
  const { memory, mounts, disks, networks, environment, bootTimeout, ...rest } = options;
  const isLaunching = ([key]: readonly [string, unknown]) => LAUNCH_KEYS.includes(key);
  const launching = Object.fromEntries(Object.entries(rest).filter(isLaunching)) as LaunchOptions;
  const sandbox = {
    ...Object.fromEntries(Object.entries(rest).filter((entry) => !isLaunching(entry))),
    memory: typeof memory === 'string' ? parseMemory(memory) : memory,
    mounts: each(mounts, parseMount, wholeMount),
    disks: each(disks, parseDisk, wholeDisk),
    networks: each(networks, parseNetwork, wholeNetwork),
    environment: variables(environment),
    bootTimeout: typeof bootTimeout === 'string' ? duration(bootTimeout, 'bootTimeout') : bootTimeout,
  };
  checkCreate(sandbox, launching);
  return { sandbox: sandbox as Omit<SandboxOptions, 'command'>, launching };
}

/** What a value lacks is added. What it has that it must not have is found by the check. */
function wholeMount(mount: Partial<Mount>): Mount {
  const common = { includes: [], ...defined(mount) };
  switch (mount.type) {
    case 'host-bind':
      return { readOnly: false, ...common } as Mount;
    case 'host-image':
      return { readOnly: false, format: formatOf(mount.source), ...common } as Mount;
    default:
      return common as unknown as Mount;
  }
}

function wholeDisk(disk: Partial<Disk>): Disk {
  const format = disk.type === 'block' ? 'raw' : formatOf(disk.source);
  return { type: 'file', format, readOnly: false, ...defined(disk) } as Disk;
}

function wholeNetwork(network: Partial<Network>): Network {
  const none = { dhcp: false, source: undefined, mac: undefined, addresses: [], routes: [], filter: undefined };
  return { ...none, ...defined(network) };
}

/** As where no format is given on the command line. */
function formatOf(source: unknown): string {
  return guessFormat(typeof source === 'string' ? source : '');
}

/** What is no array stays as it is, for the check. */
function each<Loose, Whole>(
  values: readonly (string | Loose)[] | undefined,
  parse: (text: string) => Whole,
  complete: (value: Loose) => Whole,
): readonly Whole[] | undefined {
  if (!Array.isArray(values)) return values as undefined;
  return values.map((value: string | Loose) => {
    if (typeof value === 'string') return parse(value);
    return typeof value === 'object' && value !== null ? complete(value) : (value as unknown as Whole);
  });
}

function variables(environment: CreateOptions['environment']): readonly EnvironmentVariable[] | undefined {
  if (typeof environment !== 'object' || environment === null) return environment as undefined;
  if (Array.isArray(environment)) return environment as readonly EnvironmentVariable[];
  return Object.entries(environment as Readonly<Record<string, string>>).map(([key, value]) => ({ key, value }));
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** @returns milliseconds */
function duration(text: string, name: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? [];
  const milliseconds = Math.round(Number(number) * (UNITS[unit] ?? Number.NaN));
  if (milliseconds >= 1) return milliseconds;
  throw argumentError('duration-invalid', `${name} cannot be ${quote(text)}`, 'give a time as 500ms, 5s or 2m');
}
