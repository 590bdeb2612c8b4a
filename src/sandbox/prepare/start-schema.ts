/**
 * Checks the types of what a program passes to a start, for callers without a compiler. It is a file of its own because
 * the validator takes a while to load.
 */
import * as v from 'valibot';
import { CLIPBOARDS, COMPOSITORS, LISTEN_ADDRESSES, RESIZES, VIEWERS } from '../../config/graphics-types.js';
import { PERIOD_RANGE, PRIORITY_RANGE, QUOTA_RANGE } from '../../config/parsers/cpu-time.js';
import { MOST_BOOT_TIMEOUT } from '../../config/parsers/duration.js';
import { SIDE_RANGE } from '../../config/parsers/graphics.js';
import { MOST_MEMORY_LIMIT } from '../../config/parsers/memory-tuning.js';
import { MOST_NODES, NUMA_MODES } from '../../config/parsers/numa.js';
import { DISK_LIMITS, IO_THREAD_RANGE, WEIGHT_RANGE } from '../../config/parsers/tuning.js';
import type { SandboxConfig, Tuning } from '../../config/types.js';
import { PULL_POLICIES } from '../../oci-names/pull-policy.js';
import { LOCAL_TRANSPORTS } from '../../oci-names/root-image.js';
import { isTemplateName } from '../../oci-names/template.js';
import { MAX_TIME_LIMIT } from '../../protocol/wire.js';
import { ipAddress, portNumber, protocol } from '../publish/publish-schema.js';
import type { LaunchOptions, PartialConfig } from '../types.js';
import { check } from './check-values.js';
import { digest, flag, id, list, number, oneOf, record, text, whole } from './schema-words.js';

const includes = list(record({ target: text, source: text }), 'includes: { target, source }');
const target = { target: text, includes };
const mount = v.variant(
  'type',
  [
    record({ type: v.literal('host-bind'), ...target, source: v.optional(text), readOnly: flag }),
    record({ type: v.literal('host-image'), ...target, source: text, format: text, readOnly: flag }),
    record({ type: v.literal('guest-bind'), ...target, source: text }),
    record({ type: v.literal('ram'), ...target, usage: whole }),
  ],
  'an object whose type is "host-bind", "host-image", "guest-bind" or "ram"',
);

/** What texts such as `docker://NAME` are in a config. */
const rootImage = v.variant(
  'transport',
  [
    record({
      transport: v.literal('docker'),
      reference: record({
        registry: text,
        repository: text,
        tag: v.optional(text),
        digest: v.optional(digest),
      }),
    }),
    record({ transport: oneOf(LOCAL_TRANSPORTS), path: text, name: v.optional(text) }),
    record({ transport: v.literal('tar'), path: text }),
    record({
      transport: v.literal('virt-builder'),
      template: v.pipe(text, v.check(isTemplateName, 'a name that virt-builder can have')),
      architecture: v.optional(text),
    }),
  ],
  'a text: docker://NAME, oci:DIR',
);

const network = record({
  dhcp: flag,
  source: v.optional(text),
  mac: v.optional(text),
  addresses: list(record({ primary: text, prefix: whole, broadcast: v.optional(text) }), 'addresses'),
  routes: list(record({ target: text, prefix: whole, gateway: text }), 'routes'),
  hostLoopback: v.optional(flag),
  filter: v.optional(record({ name: text, parameters: v.record(text, text, 'an object of strings') })),
});

const bandwidth = v.optional(record({ average: whole, peak: v.optional(whole), burst: v.optional(whole) }));
const limits = v.strictObject(
  Object.fromEntries(DISK_LIMITS.map((name) => [name, v.optional(whole)])),
  'an object of limits',
);

const within = ([least, most]: readonly [number, number]) => {
  const text = `a whole number from ${least} to ${most}`;
  return v.pipe(number, v.safeInteger(text), v.minValue(least, text), v.maxValue(most, text));
};
const side = within(SIDE_RANGE);
const cpus = list(whole, 'numbers of CPUs');
const nodes = v.pipe(list(whole, 'numbers of nodes'), v.minLength(1, 'at least one node'));
const bytes = within([1, MOST_MEMORY_LIMIT]);
const tuning = v.partial(
  v.strictObject(
    {
      cpuShares: whole,
      cpuPin: cpus,
      cpuQuota: within(QUOTA_RANGE),
      cpuPeriod: within(PERIOD_RANGE),
      cpuScheduler: v.variant(
        'policy',
        [
          record({ policy: oneOf(['fifo', 'rr']), priority: within(PRIORITY_RANGE) }),
          record({ policy: oneOf(['batch', 'idle']) }),
        ],
        'an object whose policy is "fifo", "rr", "batch" or "idle"',
      ),
      numa: list(
        record({
          node: within([0, MOST_NODES - 1]),
          cpus,
          memory: v.optional(bytes),
          hostNodes: v.optional(nodes),
        }),
        'nodes',
      ),
      numaNodes: record({
        nodes,
        mode: oneOf(NUMA_MODES),
      }),
      memoryLimit: bytes,
      memorySoftLimit: bytes,
      memorySwapLimit: bytes,
      hugePages: v.union([v.literal('default'), bytes], '"default" or bytes'),
      blockWeight: within(WEIGHT_RANGE),
      ioThreads: within(IO_THREAD_RANGE),
      diskLimits: list(record({ tag: text, limits }), 'limits: { tag, limits }'),
      networkLimits: list(record({ index: whole, inbound: bandwidth, outbound: bandwidth }), 'limits'),
    } satisfies Record<keyof Tuning, v.GenericSchema>,
    'an object',
  ),
);

const graphics = record({
  ...{ viewers: oneOf(VIEWERS), width: side, height: side },
  ...{ compositor: oneOf(COMPOSITORS), resize: oneOf(RESIZES) },
  listen: v.optional(record({ address: oneOf(LISTEN_ADDRESSES), port: portNumber(0) })),
});

const entries = {
  name: text,
  uuid: text,
  root: v.variant(
    'type',
    [
      record({ type: v.literal('directory'), path: text }),
      record({
        type: v.literal('image'),
        image: rootImage,
        platform: v.optional(
          v.strictObject({ os: text, architecture: text, variant: v.optional(text) }, 'a text: linux/amd64'),
        ),
        pull: oneOf(PULL_POLICIES),
        manifest: v.optional(digest),
        authFile: v.optional(text),
        tlsVerify: flag,
        entrypoint: v.optional(text),
        user: v.optional(text),
        publishAll: flag,
        stored: v.optional(v.undefined()),
      }),
    ],
    'a path, the name of an image, or an object whose type is "directory" or "image"',
  ),
  rootFs: oneOf(['auto', '9p', 'virtiofs']),
  rootCache: oneOf(['auto', 'never', 'always']),
  overlay: v.variant(
    'type',
    [record({ type: v.literal('memory') }), record({ type: oneOf(['directory', 'image']), path: text })],
    'an object whose type is "memory", "directory" or "image"',
  ),
  arch: text,
  kernel: record({ version: v.optional(text), path: v.optional(text), modulesPath: v.optional(text) }),
  image: text,
  profile: text,
  memory: number,
  vcpus: number,
  acceleration: oneOf(['auto', 'kvm', 'tcg']),
  requireKvm: flag,
  nestedKvm: flag,
  boot: oneOf(['auto', 'cold', 'warm']),
  identity: record({
    uid: id,
    gid: id,
    username: text,
    home: text,
    groups: list(id, 'numbers of groups'),
    savedHome: v.optional(text),
  }),
  privileged: flag,
  userNamespaces: flag,
  hidden: record({ secrets: flag, paths: list(text, 'strings: absolute paths') }),
  home: v.variant(
    'type',
    [
      record({ type: v.literal('tmp') }),
      record({ type: v.literal('host') }),
      record({ type: v.literal('directory'), path: text }),
    ],
    '"tmp", "host", a path, or an object whose type is "tmp", "host" or "directory"',
  ),
  mounts: list(mount, 'mounts'),
  disks: list(
    record({ type: oneOf(['file', 'block']), tag: text, source: text, format: text, readOnly: flag }),
    'disks',
  ),
  networks: list(network, 'networks'),
  publish: list(record({ protocol, address: ipAddress, hostPort: portNumber(0), guestPort: portNumber(1) }), 'ports'),
  security: record({ mode: oneOf(['dynamic', 'static', 'inherit']), label: v.optional(text) }),
  graphics,
  clipboard: oneOf(CLIPBOARDS),
  sound: flag,
  environment: list(record({ key: text, value: text }), 'variables: { key, value }'),
  cwd: text,
  shell: flag,
  debug: flag,
  verbose: flag,
  tty: flag,
  command: list(text, 'strings: the program and its arguments'),
  tuning,
  service: v.looseObject({ type: text }, 'an object'),
  bootTimeout: v.pipe(
    number,
    v.minValue(1, 'milliseconds, at least 1'),
    v.maxValue(MOST_BOOT_TIMEOUT, 'a day at most, in milliseconds'),
  ),
} satisfies Record<keyof SandboxConfig, v.GenericSchema>;

/** What only files of libvirt-sandbox say, and a program has no use for. */
const { arch: _arch, service: _service, debug: _debug, verbose: _verbose, ...offered } = entries;
/** What is for one command. */
const { command: _command, tty: _tty, ...created } = offered;
const createdSchema = v.partial(v.strictObject(created, 'an object'));

/** Everything but the command has a default. */
const sandboxSchema = v.strictObject(
  { ...v.partial(v.strictObject(entries)).entries, command: entries.command },
  'an object',
);

const call = v.function('a function');
const launchEntries = {
  connect: text,
  profile: text,
  image: text,
  debugInit: flag,
  trace: v.looseObject({}, 'an object'),
  breakpoint: v.looseObject({ step: text, onStop: call }, 'an object: { step, onStop }'),
  terminal: v.looseObject({}, 'an object'),
  terminalFd: whole,
  timeLimit: v.pipe(
    whole,
    v.minValue(1, 'milliseconds, at least 1'),
    v.maxValue(MAX_TIME_LIMIT, `${MAX_TIME_LIMIT} milliseconds at most`),
  ),
  control: flag,
  signal: v.instance(AbortSignal, 'an AbortSignal'),
  onProgress: call,
  onPull: call,
  onChoice: call,
  onFallback: call,
  onWarning: call,
  onConsole: call,
  onReady: call,
  onOperation: call,
} satisfies Record<Exclude<keyof LaunchOptions, 'outlivesDaemon'>, v.GenericSchema>;

/** The sandbox has these. */
const { image: _image, profile: _profile, ...offeredForStart } = launchEntries;
/** What is for one command. */
const { terminal: _terminal, terminalFd: _fd, timeLimit: _limit, trace: _trace, ...others } = offeredForStart;
const { breakpoint: _breakpoint, ...launched } = others;
/** Names of the options of a start without a command. */
export const LAUNCH_KEYS: readonly string[] = Object.keys(launched);

const launchSchema = v.partial(v.strictObject(launchEntries, 'an object'));

/** What a program wants, checked, and in the form that command lines and files have it in. */
export interface Wanted {
  readonly sandbox: PartialConfig;
  readonly launching: LaunchOptions;
}

/**
 * Checks that keys are known and that each value has the right type. {@link validateConfig} checks what the values
 * mean.
 * @throws {SandboxError} `config-key-unknown`, `config-value-invalid`
 */
export function checkStart(wanted: unknown, options: unknown): Wanted {
  check(sandboxSchema, wanted, 'the sandbox', Object.keys(offered));
  check(launchSchema, options, 'the options of the start', Object.keys(offeredForStart));
  return { sandbox: wanted as PartialConfig, launching: options as LaunchOptions };
}

/**
 * Checks a sandbox without a command in the same way.
 * @throws {SandboxError} as {@link checkStart}
 */
export function checkCreate(wanted: unknown, options: unknown): Wanted {
  check(createdSchema, wanted, 'the sandbox', [...Object.keys(created), ...LAUNCH_KEYS]);
  check(launchSchema, options, 'the options of the start', Object.keys(offeredForStart));
  return { sandbox: wanted as PartialConfig, launching: options as LaunchOptions };
}
