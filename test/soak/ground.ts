/** What the runs of a soak share: directories, stores with snapshots, users and daemons. */
import { execFile } from 'node:child_process';
import { chownSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { copyFacts } from '../helpers/cache.js';
import { OrdinaryUser } from '../helpers/ordinary-user.js';
import { environment, PROGRAM, type RunOptions } from '../helpers/run.js';
import { Daemons } from './daemons.js';
import type { Places } from './leftovers.js';
import { roleOf } from './processes.js';

/** Every sandbox of a soak has a name that begins so. */
export const PREFIX = 'soak-';

/** The connections, and who uses them. */
export const DRIVERS = ['embed', 'user-embed', 'system', 'session', 'lxc'] as const;
export type Driver = (typeof DRIVERS)[number];

export const URIS: Readonly<Record<Driver, string>> = {
  embed: 'qemu:///embed',
  'user-embed': 'qemu:///embed',
  system: 'qemu:///system',
  session: 'qemu:///session',
  lxc: 'lxc:///',
};

/** Programs that outlive sandboxes. */
export const DAEMONS: ReadonlySet<string> = new Set(['libvirtd', 'virtlogd']);

/** Slots of the snapshots: enough for every configuration. */
const SLOTS = 'mounts=4,disks=4,networks=2';

const DISK_BYTES = 1 << 20;

/** What stays on purpose: logs of sandboxes that failed, what is known of this host, images, and files of the daemons. */
const KEPT = [
  /\/log(s)?$/,
  /\/libvirt\/qemu\/capabilities$/,
  /\/virt-sandbox\/(kvm\.json|libvirt|qemu|images\/(\.checked|\.index|[0-9a-f]{32}))$/,
  /\/(libvirtd|virtlogd)[^/]*$/,
  // The name of a lease says whose it is, so that of a killed launcher holds nothing.
  /\/images\/\.leases\/[0-9a-f]{32}\.[^/]+$/,
  // Made once, and the same for every sandbox.
  /^\/run\/libvirt-sandbox(-pools)?\/\.(lock|view|container)$/,
  /\/libvirt-sandbox-pools(\/\.lock)?$/,
  /\/(dbus|\.lock|lib(virt)?\/(images|boot|swtpm|network|dnsmasq|interface|nwfilter.*|secrets|storage|nodedev.*))$/,
];

export class Ground {
  /** Everybody can read it. It goes with the namespaces of the soak. */
  readonly directory: string;
  readonly user: OrdinaryUser;
  readonly daemons: Daemons;
  /** By user. */
  readonly #given: Readonly<Record<'root' | 'user', Given>>;

  private constructor(directory: string, user: OrdinaryUser, lxcScript: string) {
    this.directory = directory;
    this.user = user;
    this.daemons = new Daemons(user.options, join(user.home, 'run'), lxcScript);
    this.#given = { root: given(directory, 'root', 0), user: given(directory, 'user', user.uid) };
  }

  /**
   * Makes the directories and the user, and bakes snapshots for root and for the user, with either root.
   * @param directory the caller removes it
   */
  static async make(directory: string, lxcScript: string, say: (text: string) => void): Promise<Ground> {
    mkdirSync(join(directory, 'cache'), { mode: 0o755 });
    copyFacts(join(directory, 'cache/virt-sandbox'));
    const ground = new Ground(directory, await OrdinaryUser.create(), lxcScript);
    for (const driver of ['embed', 'user-embed'] as const) {
      say(`baking a snapshot for ${driver === 'embed' ? 'root' : 'an ordinary user'}`);
      for (const root of ['9p', 'virtiofs'])
        await ground.bake(ground.optionsOf(driver), 'create', '--warm', '--slots', SLOTS, '--for', `--root-fs ${root}`);
    }
    return ground;
  }

  async end(): Promise<void> {
    await this.daemons.stop();
    await this.user.end();
    rmSync(join(this.directory, 'cache'), { recursive: true, force: true });
  }

  /** How virt-sandbox is run for a connection. */
  optionsOf(driver: Driver): RunOptions {
    const isUser = driver === 'session' || driver === 'user-embed';
    if (isUser) return this.user.options;
    const through = driver === 'lxc' ? this.daemons.besideLxc : [];
    return { env: { XDG_CACHE_HOME: join(this.directory, 'cache') }, through };
  }

  /** The directory that a sandbox of this connection may share, with the file `hello`. */
  shareFor(driver: Driver): string {
    return this.#givenTo(driver).share;
  }

  /** A raw disk that it may have. */
  diskFor(driver: Driver): string {
    return this.#givenTo(driver).disk;
  }

  /** A directory that it may have as its home. */
  homeFor(driver: Driver): string {
    return this.#givenTo(driver).home;
  }

  #givenTo(driver: Driver) {
    return this.#given[driver === 'session' || driver === 'user-embed' ? 'user' : 'root'];
  }

  /** Where a sandbox of this connection and of that name could leave something. */
  places(driver: Driver, name: string): Places {
    const holder = driver === 'lxc' ? this.daemons.lxcHolder : undefined;
    const libvirt = ['/run/libvirt', '/var/lib/libvirt', '/etc/libvirt'];
    return {
      // Where a daemon is missing, libvirt starts one, which ends after two idle minutes.
      isOurs: (process) => !DAEMONS.has(roleOf(process)),
      daemons: () => this.daemons.pids,
      directories: [
        '/tmp',
        '/dev/shm',
        '/run/libvirt-sandbox',
        '/run/libvirt-sandbox-pools',
        this.directory,
        ...(holder === undefined ? libvirt : libvirt.map((path) => `/proc/${holder}/root${path}`)),
      ],
      ignored: new RegExp(KEPT.map(({ source }) => source).join('|')),
      namespaces: holder === undefined ? ['self'] : ['self', holder],
      name,
      domains: [() => this.daemons.domains(URIS[driver])],
    };
  }

  /** Runs `virt-sandbox-bake ARGS`. @returns its stdout @throws if it fails */
  async bake(options: RunOptions, ...args: readonly string[]): Promise<string> {
    const program = `${options.program ?? PROGRAM}-bake`;
    const [command = '', ...rest] = [...(options.through ?? []), program, ...args];
    const { stdout } = await promisify(execFile)(command, rest, {
      env: environment(options.env),
      cwd: options.cwd,
      timeout: 300_000,
    });
    return stdout;
  }
}

/** Directories to share and to have as a home, and disks to give. */
interface Given {
  readonly share: string;
  readonly disk: string;
  readonly home: string;
}

function given(directory: string, name: string, uid: number): Given {
  const share = join(directory, `share-${name}`);
  const disk = join(directory, `disk-${name}`);
  const closed = join(directory, `closed-${name}`);
  const home = join(closed, 'home');
  mkdirSync(share, { mode: 0o755 });
  writeFileSync(join(share, 'hello'), 'hello\n');
  writeFileSync(disk, '');
  truncateSync(disk, DISK_BYTES);
  for (const path of [closed, home]) mkdirSync(path, { mode: 0o700 });
  // What every sandbox writes there is nothing that it leaves.
  writeFileSync(join(home, 'kept'), '');
  for (const path of [share, disk, closed, home, join(home, 'kept')]) chownSync(path, uid, uid);
  return { share, disk, home };
}
