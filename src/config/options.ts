/** From option values, still text, to a sandbox. */

import { parseAcceleration } from './acceleration.js';
import { DEFAULT_SECURITY, defaultConfig } from './defaults.js';
import { parseDisk } from './disk.js';
import { parseEnv } from './env.js';
import { argumentError, quote } from './failure.js';
import { callerIdentity, HOST_USERS, rootIdentity, userIdentity } from './identity.js';
import { attachIncludes, parseInclude, readIncludeFile } from './include.js';
import { parseMount } from './mount.js';
import { parseNetwork } from './network.js';
import { parseSeconds, parseWhole } from './number.js';
import { hostPath } from './path.js';
import { parseSecurity } from './security.js';
import { parseMemory } from './size.js';
import { parseCpuPin, parseCpuShares, parseDiskLimit, parseNetworkLimit } from './tuning.js';
import type { Identity, Mount, SandboxConfig, Tuning } from './types.js';
import { MOST_VCPUS, validateConfig } from './validate.js';

/** What was given on a command line, by the long name of each option. Undefined is the same as not given. */
export interface ConfigOptions {
  readonly name?: string | undefined;
  readonly root?: string | undefined;
  readonly mount?: readonly string[] | undefined;
  readonly include?: readonly string[] | undefined;
  /** A file of includes; they come after those of `include`. */
  readonly includefile?: string | undefined;
  readonly disk?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly network?: readonly string[] | undefined;
  readonly security?: string | undefined;
  readonly privileged?: boolean | undefined;
  readonly switchto?: string | undefined;
  readonly shell?: boolean | undefined;
  readonly debug?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly kernver?: string | undefined;
  readonly kernpath?: string | undefined;
  readonly kmodpath?: string | undefined;
  /** MiB, or with a suffix. */
  readonly memory?: string | undefined;
  readonly vcpus?: string | undefined;
  readonly accel?: string | undefined;
  readonly cwd?: string | undefined;
  readonly cpuShares?: string | undefined;
  readonly cpuPin?: string | undefined;
  readonly diskLimit?: readonly string[] | undefined;
  readonly netLimit?: readonly string[] | undefined;
  /** Seconds. */
  readonly bootTimeout?: string | undefined;
  /** Whether the application gets a terminal. Not an option: the launcher looks at its standard input. */
  readonly tty?: boolean | undefined;
  readonly command?: readonly string[] | undefined;
}

/**
 * Makes a sandbox from option values. What is not given has its default; the identity is the caller's, root's with
 * `privileged`, or that of `switchto`. The host's directories and images are not looked at: see {@link checkHost}.
 * @param database where users are looked up
 * @throws SandboxError of stage `arguments` from each option's own parser, `privileged-with-switchto`,
 *   `acceleration-unknown`, `user-unknown`, and what {@link validateConfig} throws
 */
export async function configFromOptions(options: ConfigOptions, database = HOST_USERS): Promise<SandboxConfig> {
  const identity = await identityFrom(options, database);
  const defaults = defaultConfig(identity);
  return validateConfig({
    ...defaults,
    name: options.name,
    root: optional(options.root, (path) => hostPath(path, '--root')) ?? defaults.root,
    kernel: {
      version: options.kernver,
      path: optional(options.kernpath, (path) => hostPath(path, '--kernpath')),
      modulesPath: optional(options.kmodpath, (path) => hostPath(path, '--kmodpath')),
    },
    memory: optional(options.memory, parseMemory) ?? defaults.memory,
    vcpus: optional(options.vcpus, (text) => parseWhole(text, '--vcpus', 1, MOST_VCPUS)) ?? defaults.vcpus,
    acceleration: optional(options.accel, (text) => parseAcceleration(text, '--accel')) ?? defaults.acceleration,
    privileged: options.privileged ?? false,
    mounts: await mountsFrom(options),
    disks: (options.disk ?? []).map(parseDisk),
    networks: (options.network ?? []).map(parseNetwork),
    security: optional(options.security, parseSecurity) ?? DEFAULT_SECURITY,
    environment: (options.env ?? []).map(parseEnv),
    cwd: options.cwd,
    shell: options.shell ?? false,
    debug: options.debug ?? false,
    verbose: options.verbose ?? false,
    tty: options.tty ?? false,
    command: options.command ?? [],
    tuning: tuningFrom(options),
    bootTimeout: optional(options.bootTimeout, (text) => parseSeconds(text, '--boot-timeout')) ?? defaults.bootTimeout,
  });
}

async function identityFrom(options: ConfigOptions, database: typeof HOST_USERS): Promise<Identity> {
  if (options.switchto === undefined) {
    return options.privileged === true ? rootIdentity(database) : callerIdentity(database);
  }
  if (options.privileged === true) {
    throw argumentError(
      'privileged-with-switchto',
      `--privileged stays root and cannot go with --switchto ${quote(options.switchto)}`,
      'leave out one of them',
    );
  }
  return userIdentity(options.switchto, database);
}

async function mountsFrom(options: ConfigOptions): Promise<readonly Mount[]> {
  const includes = (options.include ?? []).map(parseInclude);
  if (options.includefile !== undefined) includes.push(...(await readIncludeFile(options.includefile)));
  return attachIncludes((options.mount ?? []).map(parseMount), includes);
}

function tuningFrom(options: ConfigOptions): Tuning {
  return {
    cpuShares: optional(options.cpuShares, parseCpuShares),
    cpuPin: optional(options.cpuPin, parseCpuPin) ?? [],
    diskLimits: (options.diskLimit ?? []).map(parseDiskLimit),
    networkLimits: (options.netLimit ?? []).map(parseNetworkLimit),
  };
}

function optional<T>(value: string | undefined, read: (text: string) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}
