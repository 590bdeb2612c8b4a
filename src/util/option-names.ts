/**
 * How errors and hints name the options of a sandbox: as on the command line, or as a program gives them. It is like a
 * language: the entry point of a process chooses it once, since one process does not have callers of both kinds.
 */

/** By the keys of a program, as virt-sandbox has them. */
const ON_COMMAND_LINE = {
  connect: '--connect',
  name: '--name',
  root: '--root',
  'root.pull': '--pull',
  'root.user': '--user',
  'root.platform': '--platform',
  'root.authFile': '--authfile',
  'root.tlsVerify': '--tls-verify',
  rootFs: '--root-fs',
  rootCache: '--root-cache',
  overlay: '--overlay',
  cwd: '--cwd',
  identity: '--switchto',
  privileged: '--privileged',
  userNamespaces: '--userns',
  hidden: '--hide',
  home: '--home',
  security: '--security',
  graphics: '--graphics',
  clipboard: '--clipboard',
  sound: '--sound',
  mounts: '--mount',
  disks: '--disk',
  networks: '--network',
  publish: '--publish',
  memory: '--memory',
  vcpus: '--vcpus',
  acceleration: '--accel',
  requireKvm: '--require-kvm',
  nestedKvm: '--nested-kvm',
  boot: '--boot',
  bootTimeout: '--boot-timeout',
  image: '--image',
  profile: '--profile',
  'kernel.version': '--kernver',
  'kernel.path': '--kernpath',
  'kernel.modulesPath': '--kmodpath',
  'tuning.cpuShares': '--cpu-shares',
  'tuning.cpuPin': '--cpu-pin',
  'tuning.cpuQuota': '--cpu-quota',
  'tuning.cpuPeriod': '--cpu-period',
  'tuning.cpuScheduler': '--cpu-scheduler',
  'tuning.numa': '--numa',
  'tuning.numaNodes': '--numa-nodes',
  'tuning.memoryLimit': '--memory-limit',
  'tuning.memorySoftLimit': '--memory-soft-limit',
  'tuning.memorySwapLimit': '--memory-swap-limit',
  'tuning.hugePages': '--huge-pages',
  'tuning.blockWeight': '--block-weight',
  'tuning.ioThreads': '--io-threads',
  'tuning.diskLimits': '--disk-limit',
  'tuning.networkLimits': '--net-limit',
} as const satisfies Readonly<Record<string, string>>;

const IN_SHORT = {
  connect: '-c',
  privileged: '-p',
  mounts: '-m',
} as const satisfies Readonly<Partial<Record<OptionKey, string>>>;

export type OptionKey = keyof typeof ON_COMMAND_LINE;
type ShortKey = keyof typeof IN_SHORT;

const long: Record<OptionKey, string> = { ...ON_COMMAND_LINE };
const short: Record<ShortKey, string> = { ...IN_SHORT };

/** From now on some options have other names on the command line. The entry point of another program calls it. */
export function renameOptions(
  inLong: Readonly<Partial<Record<OptionKey, string>>>,
  inShort: Readonly<Partial<Record<ShortKey, string>>> = {},
): void {
  Object.assign(long, inLong);
  Object.assign(short, inShort);
}

let isForProgram = false;

/** From now on options have the names that a program gives them. The entry point of the package calls it. */
export function nameOptionsAsKeys(): void {
  isForProgram = true;
}

/**
 * The name of an option, in the words of the caller: `--memory` or `memory`.
 * @param value to show with it: `--accel tcg` or `acceleration: 'tcg'`
 */
export function option(key: OptionKey, value?: string): string {
  return named(key, long[key], value);
}

/** The same with the short name: `-c`. */
export function shortOption(key: ShortKey, value?: string): string {
  return named(key, short[key], value);
}

function named(key: OptionKey, name: string, value: string | undefined): string {
  if (isForProgram) return value === undefined ? key : `${key}: '${value}'`;
  return value === undefined ? name : `${name} ${value}`;
}

/** One of two texts, for what is not only named in another way. */
export function forCaller({
  commandLine,
  program,
}: {
  readonly commandLine: string;
  readonly program: string;
}): string {
  return isForProgram ? program : commandLine;
}
