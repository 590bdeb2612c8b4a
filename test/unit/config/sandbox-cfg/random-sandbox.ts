/** Random sandboxes, for the tests of sandbox.cfg. */
import { defaultConfig } from '../../../../src/config/defaults.js';
import { MIB } from '../../../../src/config/parsers/size.js';
import { DISK_LIMITS } from '../../../../src/config/parsers/tuning.js';
import { imageRoot } from '../../../../src/config/root.js';
import type {
  Bandwidth,
  CpuScheduler,
  EnvironmentVariable,
  Include,
  Mount,
  Network,
  NumaNode,
  Root,
  SandboxConfig,
  Security,
  Tuning,
} from '../../../../src/config/types.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import type { Random } from '../support.js';

const maybe = <T>(random: Random, make: () => T): T | undefined => (random.chance() ? make() : undefined);
const path = (random: Random) => `/${random.text(6)}`;

function include(random: Random, mount: string, index: number): Include {
  return { target: `${mount}/${index}${random.text(6).replaceAll('/', '')}`, source: path(random) };
}

function mount(random: Random, index: number): Mount {
  // Its own target, so that no two mounts are the root.
  const target = `/${index}${random.text(6)}`.replaceAll('/../', '/');
  const includes = random.list(4, (at) => include(random, target, at));
  const readOnly = random.chance();
  // No option is given twice.
  const source = `${path(random)}/${index}`;
  return random.pick<Mount>([
    { type: 'host-bind', target, source: maybe(random, () => source), readOnly, includes },
    { type: 'host-image', target, source, format: random.pick(['raw', 'qcow2']), readOnly, includes },
    { type: 'guest-bind', target, source, includes },
    { type: 'ram', target, usage: 1 + random.below(2 ** 31), includes },
  ]);
}

function network(random: Random): Network {
  const octet = () => random.below(256);
  const v4 = () => `10.${octet()}.${octet()}.${octet()}`;
  const v6 = () => `fd00:${(1 + octet()).toString(16)}::${(1 + octet()).toString(16)}`;
  return {
    dhcp: random.chance(),
    source: maybe(random, () => random.text(6)),
    ...(random.chance() ? { hostLoopback: true } : {}),
    mac: random.pick([undefined, '52:54:00:00:00:01']),
    addresses: random.list(3, () =>
      random.chance()
        ? { primary: v4(), prefix: random.below(33), broadcast: maybe(random, v4) }
        : { primary: v6(), prefix: random.below(129), broadcast: undefined },
    ),
    routes: random.list(2, () =>
      random.chance()
        ? { target: v4(), prefix: random.below(33), gateway: v4() }
        : { target: v6(), prefix: random.below(129), gateway: v6() },
    ),
    filter: maybe(random, () => ({
      name: random.text(6),
      parameters: Object.fromEntries(
        random.list(3, () => [random.pick(['IP', 'MAC', '7', '__PROTO__']), random.text(5)]),
      ),
    })),
  };
}

function bandwidth(random: Random): Bandwidth {
  const amount = () => 1 + random.below(100_000);
  return { average: amount(), peak: maybe(random, amount), burst: maybe(random, amount) };
}

function numbers(random: Random): number[] {
  const some = random.list(6, () => random.below(30));
  return [...new Set(some)].sort((a, b) => a - b);
}

/** Nodes that have all processors, which are dealt like cards, and all memory. */
function nodes(random: Random, { memory, vcpus }: { readonly memory: number; readonly vcpus: number }): NumaNode[] {
  const count = random.below(Math.min(vcpus, 4) + 1);
  const part = Math.floor(memory / count / MIB) * MIB;
  return Array.from({ length: count }, (_, node) => ({
    node,
    cpus: Array.from({ length: vcpus }, (_vcpu, cpu) => cpu).filter((cpu) => cpu % count === node),
    // Node 0 gets what the others leave.
    memory: node > 0 && random.chance() ? part : undefined,
    hostNodes: maybe(random, () => [...numbers(random), 30]),
  })).sort(() => (random.chance() ? 1 : -1));
}

function memoryLimits(random: Random): Pick<Tuning, 'memoryLimit' | 'memorySoftLimit' | 'memorySwapLimit'> {
  const memoryLimit = maybe(random, () => 1024 * (1000 + random.below(10_000)));
  return {
    memoryLimit,
    memorySoftLimit: maybe(random, () => 1024 * (1 + random.below(1000))),
    memorySwapLimit: memoryLimit === undefined ? undefined : maybe(random, () => memoryLimit + random.below(9)),
  };
}

interface TunedSandbox {
  readonly tags: readonly string[];
  readonly interfaces: number;
  readonly memory: number;
  readonly vcpus: number;
}

function tuning(random: Random, { tags, interfaces, ...size }: TunedSandbox): Tuning {
  const cpuQuota = maybe(random, () => 1000 + random.below(1_000_000));
  return {
    cpuShares: maybe(random, () => 2 + random.below(1000)),
    cpuPin: numbers(random),
    cpuQuota,
    cpuPeriod: cpuQuota === undefined ? undefined : maybe(random, () => 1000 + random.below(999_001)),
    cpuScheduler: random.pick<CpuScheduler | undefined>([
      undefined,
      { policy: 'batch' },
      { policy: 'idle' },
      { policy: 'fifo', priority: 1 + random.below(99) },
      { policy: 'rr', priority: 1 + random.below(99) },
    ]),
    numa: nodes(random, size),
    numaNodes: maybe(random, () => ({
      nodes: [...numbers(random), 30],
      mode: random.pick(['strict', 'interleave', 'preferred', 'restrictive'] as const),
    })),
    ...memoryLimits(random),
    hugePages: random.pick([undefined, 'default', 16 * 1024] as const),
    blockWeight: maybe(random, () => 100 + random.below(901)),
    ioThreads: tags.length === 0 ? undefined : maybe(random, () => 1 + random.below(64)),
    diskLimits: tags.filter(random.chance.bind(random)).map((tag) => {
      const parts = DISK_LIMITS.filter((name) => /^(read|write).*sec$/.test(name) && random.chance());
      const rate = 1 + random.below(9);
      return {
        tag,
        limits: Object.fromEntries(
          [...parts, 'read_iops_sec'].flatMap((name) => [
            [name, rate],
            ...(random.chance() ? [[`${name}_max`, rate + random.below(9)]] : []),
          ]),
        ),
      };
    }),
    networkLimits: Array.from({ length: interfaces }, (_, index) => ({
      index,
      inbound: bandwidth(random),
      outbound: maybe(random, () => bandwidth(random)),
    })),
  };
}

function imageRootOf(random: Random): Root {
  const image = parseRootImage(
    random.pick([
      'docker://debian:13',
      'docker://localhost:5000/a/b',
      'oci:/a dir:v1',
      'tar:/a',
      'virt-builder:///debian-12',
      'virt-builder:///debian-12?arch=aarch64',
    ]),
  );
  return {
    ...imageRoot(image),
    pull: random.pick(['missing', 'always', 'never']),
    platform: maybe(random, () => parsePlatform(random.pick(['amd64', 'linux/arm64/v8']))),
    authFile: maybe(random, () => path(random)),
    tlsVerify: random.chance(),
    entrypoint: maybe(random, () => random.pick(['', path(random)])),
    user: maybe(random, () => `u${random.text(5)}`),
    publishAll: random.chance(),
  };
}

function overlay(random: Random): SandboxConfig['overlay'] {
  const type = random.pick([undefined, 'memory', 'directory', 'image'] as const);
  if (type === undefined || type === 'memory') return type && { type };
  return { type, path: `${path(random)}/overlay` };
}

/** Any valid sandbox; `bare` ones use only what libvirt-sandbox's format has. */
export function randomSandbox(random: Random, bare: boolean): SandboxConfig {
  const tags = random.list(3, (index) => `${index}${random.pick(['', ' a', '\\', ':=', 'ä'])}`);
  const networks = random.list(3, () => network(random));
  const identity = {
    uid: random.below(70_000),
    gid: random.below(70_000),
    username: random.text(6),
    home: `/~${path(random)}`,
    groups: bare ? [] : [...new Set(random.list(4, () => random.below(100)))],
  };
  const environment: EnvironmentVariable[] = random.list(4, () => ({
    key: `K${random.text(3).replaceAll('=', '')}`,
    value: random.text(9),
  }));
  const root: Root = bare || random.chance() ? { type: 'directory', path: path(random) } : imageRootOf(random);
  const config: SandboxConfig = {
    ...defaultConfig(identity),
    name: random.pick([undefined, 'mill', ' mill ', 'a\\b', 'ä;#']),
    uuid: random.pick([undefined, '01234567-89ab-cdef-0123-456789abcdef']),
    root,
    arch: random.pick(['x86_64', 'aarch64']),
    kernel: {
      version: random.pick([undefined, '6.1.0-9-amd64', '7+\\']),
      path: maybe(random, () => path(random)),
      modulesPath: maybe(random, () => path(random)),
    },
    overlay: bare ? undefined : overlay(random),
    home: bare
      ? undefined
      : random.pick([undefined, { type: 'tmp' }, { type: 'host' }, { type: 'directory', path: path(random) }]),
    hidden: bare
      ? { secrets: true, paths: [] }
      : { secrets: random.chance(), paths: root.type === 'image' ? [] : random.list(3, () => path(random)) },
    mounts: random.list(5, (index) => mount(random, index)),
    disks: tags.map((tag, index) => ({
      type: random.pick(['file', 'block']),
      tag,
      source: `${path(random)}/disk${index}`,
      format: 'raw',
      readOnly: !bare && random.chance(),
    })),
    networks,
    environment,
    security: random.pick<Security>([
      { mode: 'dynamic', label: maybe(random, () => random.text(6)) },
      { mode: 'static', label: maybe(random, () => random.text(6)) },
    ]),
    shell: random.chance(),
    debug: random.chance(),
    verbose: random.chance(),
    tty: random.chance(),
    command: ['/x', ...random.list(4, () => random.text(12))],
  };
  if (bare) return config;
  const acceleration = random.pick(['auto', 'kvm', 'tcg'] as const);
  const size = { memory: (512 + random.below(4096)) * MIB, vcpus: 1 + random.below(255) };
  return {
    ...config,
    security: random.pick([config.security, { mode: 'inherit', label: undefined }]),
    privileged: root.type === 'image' ? undefined : random.pick([undefined, true]),
    cwd: maybe(random, () => path(random)),
    ...size,
    acceleration,
    requireKvm: acceleration !== 'tcg' && random.chance(),
    nestedKvm: random.chance(),
    sound: random.chance(),
    publish: random.list(2, () => ({
      protocol: random.pick(['tcp', 'udp'] as const),
      address: random.pick(['127.0.0.1', '::1', '0.0.0.0']),
      hostPort: random.below(65_536),
      guestPort: 1 + random.below(65_535),
    })),
    boot: random.pick(['auto', 'cold', 'warm']),
    rootFs: root.type === 'image' ? 'auto' : random.pick(['auto', '9p', 'virtiofs']),
    rootCache: root.type === 'image' ? 'auto' : random.pick(['auto', 'never', 'always']),
    bootTimeout: 1 + random.below(86_400_000),
    tuning: tuning(random, { tags, interfaces: networks.length, ...size }),
  };
}
