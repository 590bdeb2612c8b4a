/** Makes a sandbox from the options of a program, which may be short: texts of the command line, and keys left out. */
import { DEFAULT_SECURITY } from '../../config/defaults.js';
import { parseDisk } from '../../config/parsers/disk.js';
import { guessFormat } from '../../config/parsers/disk-image.js';
import { inMilliseconds, MOST_BOOT_TIMEOUT } from '../../config/parsers/duration.js';
import { DEFAULT_GRAPHICS, parseGraphics } from '../../config/parsers/graphics.js';
import { parseHome } from '../../config/parsers/home.js';
import { parseMemoryLimit } from '../../config/parsers/memory-tuning.js';
import { parseMount } from '../../config/parsers/mount.js';
import { parseNetwork } from '../../config/parsers/network.js';
import { parseOverlay } from '../../config/parsers/overlay.js';
import { LOOPBACK, parsePublish } from '../../config/parsers/publish.js';
import { parseMemory, parseSize } from '../../config/parsers/size.js';
import { parseRoot } from '../../config/root.js';
import { parsePlatform } from '../../oci-names/platform.js';
import { isRootImage, parseRootImage } from '../../oci-names/root-image.js';
import { MAX_TIME_LIMIT } from '../../protocol/wire.js';
import { defined, isRecord } from '../../util/records.js';
import type { StartOptions } from '../types.js';
import type { CreateOptions, SandboxOptions } from './create-types.js';
import { checkCreate, checkStart, LAUNCH_KEYS, type Wanted } from './start-schema.js';

/**
 * Takes apart what `Sandbox.create` is given.
 * @throws {SandboxError} `config-key-unknown`, `config-value-invalid`, `duration-invalid`, and what the parsers throw
 */
export function createdSandbox(options: CreateOptions): Wanted {
  if (!isRecord(options)) return checkCreate(options, {});
  const isLaunching = ([key]: readonly [string, unknown]) => LAUNCH_KEYS.includes(key);
  const entries = Object.entries(options);
  const settings = Object.fromEntries(entries.filter((entry) => !isLaunching(entry)));
  return checkCreate(inFull(settings), Object.fromEntries(entries.filter(isLaunching)));
}

/**
 * Checks what `Sandbox.start` is given.
 * @throws {SandboxError} as {@link createdSandbox}
 */
export function startedSandbox(wanted: SandboxOptions, options: StartOptions): Wanted {
  const launching: unknown = options;
  return checkStart(
    isRecord(wanted) ? inFull(wanted) : wanted,
    isRecord(launching) ? { ...launching, ...timeLimit(launching['timeLimit']) } : launching,
  );
}

function timeLimit(value: unknown): { readonly timeLimit?: unknown } {
  return value === undefined ? {} : { timeLimit: inMilliseconds(value, 'timeLimit', MAX_TIME_LIMIT) };
}

type Values = Readonly<Record<string, unknown>>;

/** What a value lacks is added. What it has that it must not have, and what is of a wrong type, is found by the check. */
function inFull(settings: Values): Values {
  const { root, memory, mounts, disks, networks, publish, environment } = settings;
  const { bootTimeout, kernel, overlay, graphics, hidden, home, security, tuning } = settings;
  return defined({
    ...settings,
    root: wholeRoot(root),
    memory: typeof memory === 'string' ? parseMemory(memory, 'memory') : memory,
    mounts: each(mounts, parseMount, wholeMount),
    disks: each(disks, parseDisk, wholeDisk),
    networks: each(networks, parseNetwork, wholeNetwork),
    publish: each(portsOf(publish), parsePublish, wholePublish),
    environment: variables(environment),
    bootTimeout: inMilliseconds(bootTimeout, 'bootTimeout', MOST_BOOT_TIMEOUT),
    kernel: whole(kernel, { version: undefined, path: undefined, modulesPath: undefined }),
    overlay: overlayFrom(overlay),
    graphics: graphicsFrom(graphics),
    home: typeof home === 'string' ? parseHome(home, 'home') : home,
    hidden: whole(hidden, { secrets: true, paths: [] }),
    security: whole(security, DEFAULT_SECURITY),
    tuning: isRecord(tuning) ? wholeTuning(tuning) : tuning,
  });
}

function overlayFrom(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? { type: 'memory' } : undefined;
  return typeof value === 'string' ? parseOverlay(value, 'overlay') : value;
}

function graphicsFrom(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? DEFAULT_GRAPHICS : undefined;
  return typeof value === 'string' ? parseGraphics(value, 'graphics') : whole(value, DEFAULT_GRAPHICS);
}

/** A text that names no image is a path, and stays as it is. */
function wholeRoot(value: unknown): unknown {
  if (typeof value === 'string')
    return isRootImage(value) ? parseRoot(value, 'root') : { type: 'directory', path: value };
  if (!isRecord(value) || typeof value['image'] !== 'string') return value;
  const { image, platform, ...rest } = value;
  const named = isRootImage(value['image']) ? parseRoot(value['image'], 'root.image') : parseRootImage(value['image']);
  return {
    ...named,
    ...defined(rest),
    platform: typeof platform === 'string' ? parsePlatform(platform) : platform,
  };
}

function whole(value: unknown, defaults: object): unknown {
  return isRecord(value) ? { ...defaults, ...defined(value) } : value;
}

function wholeMount(mount: Values): Values {
  const common = { includes: [], ...defined(mount) };
  switch (mount['type']) {
    case 'host-bind':
      return { readOnly: false, ...common };
    case 'host-image':
      return { readOnly: false, format: formatOf(mount['source']), ...common };
    case 'ram': {
      const { usage } = mount;
      return typeof usage === 'string' ? { ...common, usage: parseSize(usage, 'usage', 1) } : common;
    }
    default:
      return common;
  }
}

function wholeDisk(disk: Values): Values {
  const format = disk['type'] === 'block' ? 'raw' : formatOf(disk['source']);
  return { type: 'file', format, readOnly: false, ...defined(disk) };
}

function wholeNetwork(network: Values): Values {
  return { dhcp: false, addresses: [], routes: [], ...defined(network) };
}

const MEMORY_LIMITS = ['memoryLimit', 'memorySoftLimit', 'memorySwapLimit'];

function wholeTuning(tuning: Values): Values {
  const limits = MEMORY_LIMITS.map((key) => {
    const value = tuning[key];
    return [key, typeof value === 'string' ? parseMemoryLimit(value, `tuning.${key}`) : value];
  });
  return { ...tuning, ...defined(Object.fromEntries(limits)) };
}

/** A number is a port inside. */
function portsOf(publish: unknown): unknown {
  if (!Array.isArray(publish)) return publish;
  return publish.map((port: unknown) => (typeof port === 'number' ? { guestPort: port } : port));
}

function wholePublish(publish: Values): Values {
  return { protocol: 'tcp', address: LOOPBACK, hostPort: 0, ...defined(publish) };
}

/** As where no format is given on the command line. */
function formatOf(source: unknown): string {
  return guessFormat(typeof source === 'string' ? source : '');
}

/** What is no array stays as it is, for the check. */
function each(values: unknown, parse: (text: string) => object, complete: (value: Values) => Values): unknown {
  if (!Array.isArray(values)) return values;
  return values.map((value: unknown) => {
    if (typeof value === 'string') return parse(value);
    return isRecord(value) ? complete(value) : value;
  });
}

function variables(environment: unknown): unknown {
  if (!isRecord(environment)) return environment;
  return Object.entries(environment).map(([key, value]) => ({ key, value }));
}
