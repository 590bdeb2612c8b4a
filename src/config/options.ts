/** Makes a sandbox from the values of options, which are text. */

import { defaultConfig } from './defaults.js';
import { argumentError, quote } from './errors.js';
import { tableOrder } from './hash-order.js';
import { remedyInHome } from './home.js';
import { callerIdentity, HOST_USERS, rootIdentity, userIdentity } from './identity.js';
import { attachIncludes } from './include-mount.js';
import { parseAcceleration, parseBootMode } from './parsers/acceleration.js';
import { parseClipboard } from './parsers/clipboard.js';
import { parseDisk } from './parsers/disk.js';
import { parseEnv } from './parsers/env.js';
import { DEFAULT_GRAPHICS, parseGraphics } from './parsers/graphics.js';
import { parseHide } from './parsers/hide.js';
import { parseHome } from './parsers/home.js';
import { parseInclude, readIncludeFile } from './parsers/include.js';
import { parseMount } from './parsers/mount.js';
import { parseNetworks } from './parsers/network.js';
import { parseSeconds, parseWhole } from './parsers/number.js';
import { parseOverlay } from './parsers/overlay.js';
import { parsePublish } from './parsers/publish.js';
import { parseRootCache } from './parsers/root-cache.js';
import { parseRootFs } from './parsers/root-fs.js';
import { parseSecurity } from './parsers/security.js';
import { parseMemory } from './parsers/size.js';
import { hostPath } from './path.js';
import { type ImageRootTexts, parseRoot, withImageTexts } from './root.js';
import { type TuningOptions, tuningFromOptions } from './tuning-options.js';
import type { EnvironmentVariable, Identity, Mount, Network, SandboxConfig } from './types.js';
import { MOST_VCPUS, validateConfig } from './validate.js';

/** Values of options, by long name in camel case. Undefined means not given. */
export interface ConfigOptions extends TuningOptions, ImageRootTexts {
  readonly name?: string | undefined;
  /** A directory, or an image: `docker://NAME`. */
  readonly root?: string | undefined;
  readonly rootFs?: string | undefined;
  readonly rootCache?: string | undefined;
  /** True is `memory`. */
  readonly overlay?: string | true | undefined;
  readonly mount?: readonly string[] | undefined;
  readonly include?: readonly string[] | undefined;
  /** A file of includes; they come after those of `include`. */
  readonly includefile?: string | undefined;
  readonly disk?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly network?: readonly string[] | undefined;
  readonly publish?: readonly string[] | undefined;
  readonly security?: string | undefined;
  /** True is `vnc`. */
  readonly graphics?: string | true | undefined;
  readonly clipboard?: string | undefined;
  readonly sound?: boolean | undefined;
  readonly privileged?: boolean | undefined;
  readonly userns?: boolean | undefined;
  readonly hide?: readonly string[] | undefined;
  readonly home?: string | undefined;
  readonly switchto?: string | undefined;
  readonly shell?: boolean | undefined;
  readonly debug?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly kernver?: string | undefined;
  readonly kernpath?: string | undefined;
  readonly kmodpath?: string | undefined;
  readonly image?: string | undefined;
  readonly profile?: string | undefined;
  /** MiB, or with a suffix. */
  readonly memory?: string | undefined;
  readonly vcpus?: string | undefined;
  readonly accel?: string | undefined;
  readonly requireKvm?: boolean | undefined;
  readonly nestedKvm?: boolean | undefined;
  readonly boot?: string | undefined;
  readonly cwd?: string | undefined;
  /** Seconds. */
  readonly bootTimeout?: string | undefined;
  /** Whether the application gets a terminal. No option sets it: the launcher looks at its own terminal. */
  readonly tty?: boolean | undefined;
  readonly command?: readonly string[] | undefined;
}

/**
 * Makes a sandbox from option values. What is not given has its default. The identity is the caller's, root's with
 * `privileged`, or that of `switchto`. Directories and images of the host are not checked; {@link checkHost} does that.
 * @param database where users are looked up
 * @param base a sandbox that the options change. What is not given stays, options that repeat add to it, and a command,
 *   an identity or a kernel replaces that of `base`
 * @param isIdle it needs no command, and lives until it is stopped
 * @throws SandboxError of stage `arguments` from each option's own parser, `privileged-with-switchto`,
 *   `acceleration-unknown`, `boot-mode-unknown`, `user-unknown`, and what {@link validateConfig} throws
 */
export async function configFromOptions(
  options: ConfigOptions,
  database = HOST_USERS,
  base?: SandboxConfig,
  isIdle = false,
): Promise<SandboxConfig> {
  const identity = await identityFrom(options, database, base);
  const from = base ?? defaultConfig(identity);
  const home = optional(options.home, (text) => parseHome(text, '--home')) ?? from.home;
  const root = withImageTexts(optional(options.root, (text) => parseRoot(text, '--root')) ?? from.root, options);
  if (root.type === 'image' && options.switchto !== undefined) throw ofHost(options.switchto);
  const config = {
    ...from,
    identity,
    name: options.name ?? from.name,
    root,
    rootFs: optional(options.rootFs, (text) => parseRootFs(text, '--root-fs')) ?? from.rootFs,
    rootCache: optional(options.rootCache, (text) => parseRootCache(text, '--root-cache')) ?? from.rootCache,
    overlay: overlayFrom(options, from),
    ...bootFrom(options, from),
    memory: optional(options.memory, (text) => parseMemory(text, '--memory')) ?? from.memory,
    vcpus: optional(options.vcpus, (text) => parseWhole(text, '--vcpus', 1, MOST_VCPUS)) ?? from.vcpus,
    acceleration: optional(options.accel, (text) => parseAcceleration(text, '--accel')) ?? from.acceleration,
    requireKvm: options.requireKvm ?? from.requireKvm,
    nestedKvm: options.nestedKvm ?? from.nestedKvm,
    boot: optional(options.boot, (text) => parseBootMode(text, '--boot')) ?? from.boot,
    privileged: options.privileged ?? (options.switchto === undefined ? from.privileged : undefined),
    userNamespaces: options.userns ?? from.userNamespaces,
    hidden: parseHide(options.hide ?? [], from.hidden),
    home,
    mounts: await mountsFrom(options, from.mounts, (target) => remedyInHome({ home, identity }, target)),
    disks: [...from.disks, ...(options.disk ?? []).map(parseDisk)],
    networks: networksFrom(options, from.networks),
    publish: [...from.publish, ...(options.publish ?? []).map(parsePublish)],
    security: optional(options.security, parseSecurity) ?? from.security,
    graphics: graphicsFrom(options, from),
    clipboard: optional(options.clipboard, (text) => parseClipboard(text, '--clipboard')) ?? from.clipboard,
    sound: options.sound ?? from.sound,
    environment: environmentFrom(options, from.environment),
    cwd: options.cwd ?? from.cwd,
    shell: options.shell ?? from.shell,
    debug: options.debug ?? from.debug,
    verbose: options.verbose ?? from.verbose,
    tty: options.tty ?? from.tty,
    command: options.command ?? from.command,
    tuning: tuningFromOptions(options, from.tuning),
    bootTimeout: optional(options.bootTimeout, (text) => parseSeconds(text, '--boot-timeout')) ?? from.bootTimeout,
  };
  return validateConfig(config, isIdle && config.command.length === 0);
}

function ofHost(user: string) {
  return argumentError(
    'switchto-with-image',
    `--switchto ${quote(user)} is for users of this host, and an image has its own`,
    `write --user ${user} if the image has such a user`,
  );
}

/** What is booted, and how. A kernel or an image from the options is not mixed with the version or path of `from`. */
function bootFrom(options: ConfigOptions, from: SandboxConfig): Pick<SandboxConfig, 'kernel' | 'image' | 'profile'> {
  const path = optional(options.kernpath, (given) => hostPath(given, '--kernpath'));
  const modulesPath = optional(options.kmodpath, (given) => hostPath(given, '--kmodpath'));
  const asked = options.kernver !== undefined || path !== undefined;
  const kept = asked || options.image !== undefined ? undefined : from.kernel;
  return {
    kernel: {
      version: options.kernver ?? kept?.version,
      path: path ?? kept?.path,
      modulesPath: modulesPath ?? (options.image === undefined ? from.kernel.modulesPath : undefined),
    },
    image: options.image ?? (asked || modulesPath !== undefined ? undefined : from.image),
    profile: options.profile ?? from.profile,
  };
}

function overlayFrom({ overlay }: ConfigOptions, from: SandboxConfig): SandboxConfig['overlay'] {
  if (overlay === undefined) return from.overlay;
  return overlay === true ? { type: 'memory' } : parseOverlay(overlay, '--overlay');
}

function graphicsFrom({ graphics }: ConfigOptions, from: SandboxConfig): SandboxConfig['graphics'] {
  if (graphics === undefined) return from.graphics;
  return graphics === true ? DEFAULT_GRAPHICS : parseGraphics(graphics, '--graphics');
}

async function identityFrom(
  options: ConfigOptions,
  database: typeof HOST_USERS,
  base: SandboxConfig | undefined,
): Promise<Identity> {
  if (options.switchto === undefined) {
    if (options.privileged === true) return rootIdentity(database, (await callerIdentity(database)).home);
    return base?.identity ?? callerIdentity(database);
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

async function mountsFrom(
  options: ConfigOptions,
  base: readonly Mount[],
  remedyFor: (target: string) => string | undefined,
): Promise<readonly Mount[]> {
  const includes = (options.include ?? []).map(parseInclude);
  if (options.includefile !== undefined) includes.push(...(await readIncludeFile(options.includefile)));
  return attachIncludes([...base, ...(options.mount ?? []).map(parseMount)], includes, remedyFor);
}

/** `none` on the command line leaves no interface, not even the file's. */
function networksFrom(options: ConfigOptions, base: readonly Network[]): readonly Network[] {
  const given = parseNetworks(options.network ?? []);
  return given === 'none' ? [] : [...base, ...given];
}

/** In the order of libvirt-sandbox's file. Variables of a file keep their order, and new ones follow. */
function environmentFrom(options: ConfigOptions, base: readonly EnvironmentVariable[]): readonly EnvironmentVariable[] {
  const given = (options.env ?? []).map(parseEnv);
  return base.length > 0 ? [...base, ...given] : tableOrder(given, ({ key }) => key);
}

function optional<T>(value: string | undefined, read: (text: string) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}
