/** A sandbox that is a host with systemd, which manages services: their sandboxes run in it. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configFromOptions } from '../../src/config/options.js';
import type { SandboxConfig } from '../../src/config/types.js';
import { formatService } from '../../src/service/file.js';
import { DEFAULT_SETTINGS, type ServiceSettings } from '../../src/service/types.js';
import { valueOr } from '../../src/util/errors.js';
import { TCG } from './acceleration.js';
import { bakeJson } from './bake.js';
import { makeCache, removeCache } from './cache.js';
import { embedded } from './connections.js';
import { REPOSITORY, runSandbox } from './run.js';
import { freshDirectory } from './scratch.js';

/** Where its script finds what a test has prepared, and writes what it has seen. */
const MEDIA = '/media';

const CACHE = '/srv';

/** How long it may run, in milliseconds: less than a file of tests, so that its end says how far it has come. */
const RUN_MS = 780_000;

/** The unit that systemd boots to, and ends with. */
export const MANAGER = 'manager.service';

/** What is written to; /etc/libvirt has files that QEMU's user cannot read. */
const IN_MEMORY = ['/var/cache', '/var/lib', '/var/log', '/var/tmp', '/etc/libvirt'];

/** Where services are, below the root. */
const SERVICES = 'etc/libvirt-sandbox/services';

/** A service of such a host. */
export interface HostedService {
  readonly command: readonly string[];
  readonly mount?: readonly string[];
  readonly memory?: string;
  readonly config: Partial<SandboxConfig>;
  readonly settings: Partial<ServiceSettings>;
}

/** Such a host before and while it runs. Its script tells lines of JSON, each an object with one part. */
export class SystemdHost {
  readonly #media = freshDirectory();
  readonly #cache = makeCache();

  constructor() {
    chmodSync(this.#media, 0o755);
  }

  /** Puts a file there. @param path without the slash in front */
  add(path: string, text: string): void {
    const file = join(this.#media, 'root', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** Has a unit started with a target. */
  enable(unit: string, target: string): void {
    this.add(`etc/systemd/system/${target}.d/${unit}.conf`, `[Unit]\nWants=${unit}\n`);
  }

  async addService(name: string, { command, mount = [], memory, config, settings }: HostedService): Promise<void> {
    const base = await configFromOptions({ name, command, mount, memory, bootTimeout: '300' });
    const longer = { startTimeout: 600_000, stopTimeout: 15_000 };
    const service = { config: { ...base, ...config }, settings: { ...DEFAULT_SETTINGS, ...longer, ...settings } };
    this.add(`${SERVICES}/${name}/config/sandbox.cfg`, await formatService(service));
  }

  /**
   * Boots it, and waits until it has ended for the last time.
   * @param program of the tests, which it runs at each boot
   * @returns what that has told; it has told `end`
   */
  async run<Parts extends object>(program: string, { boots = 1, target = MANAGER } = {}): Promise<Partial<Parts>> {
    await bakeJson(this.#cache, ['create']);
    this.add(`etc/systemd/system/${MANAGER}`, managerUnit(program));
    const words = ['-c', embedded.uri, ...TCG, ...systemdHost(this.#media, this.#cache, { boots, target })];
    const { code, stderr } = await runSandbox(words, { timeout: RUN_MS });
    const written = (name: string) => valueOr(() => readFileSync(join(this.#media, name), 'utf8'), '');
    const lines = written('told').split('\n').filter(Boolean);
    const parts = Object.assign({}, ...lines.map((line) => JSON.parse(line) as object)) as Partial<Parts>;
    assert.ok('end' in parts, `${written('log')}\n${code}\n${stderr}`);
    return parts;
  }

  remove(): void {
    removeCache(this.#cache);
    removeCache(this.#media);
  }
}

/**
 * The options of such a sandbox, and its command. The repository is at /mnt.
 * @param media is at {@link MEDIA}: what is below `root` in it comes to the root
 * @param cache has a boot image for the machines inside
 */
function systemdHost(media: string, cache: string, { boots, target }: { boots: number; target: string }): string[] {
  return [
    ...['--privileged', '--overlay', '--nested-kvm', '--vcpus', '2', '--memory', '3G'],
    ...IN_MEMORY.flatMap((path) => ['-m', `ram:${path}=1G`]),
    ...['-m', `host-bind:/mnt=${REPOSITORY},ro`, '-m', `host-bind:${MEDIA}=${media}`],
    ...['-m', `host-bind:${CACHE}=${cache},ro`],
    ...['--env', `BOOTS=${boots}`, '--env', `TARGET=${target}`],
    ...['--', 'bash', '-ec', PREPARE],
  ];
}

/** The unit. @param program of the tests that it runs */
function managerUnit(program: string): string {
  return `[Unit]
Requires=basic.target
After=basic.target
Wants=systemd-journald.socket dbus.socket
[Service]
Type=oneshot
ExecStart=${process.execPath} ${join('/mnt/build/test/helpers', program)}
ExecStopPost=/bin/systemctl --no-block exit
StandardOutput=append:${MEDIA}/told
StandardError=append:${MEDIA}/log
TimeoutStartSec=infinity
`;
}

/**
 * Starts systemd as the first process of namespaces of its own, with nothing of this host but what the manager starts,
 * once for each boot. What is below /var stays from one to the next.
 * Its generators do not see /tmp. Its control groups are a part of the machine's, without other processes.
 */
const PREPARE = `
modprobe kvm_amd
echo on >/proc/sys/kernel/printk_devkmsg
chmod 666 /dev/kvm
mount -t cgroup2 none /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo +$controller >/sys/fs/cgroup/cgroup.subtree_control
done
rm -rf /usr/lib/systemd/system/*.{wants,requires} /etc/systemd/system/*.{wants,requires}
mkdir -p /etc/libvirt-sandbox
mount -t tmpfs none /etc/libvirt-sandbox
cp -r ${MEDIA}/root/. /
cp -a ${CACHE}/virt-sandbox /var/cache
mkdir -p /gate /var/log/libvirt /etc/libvirt/{lxc,qemu} /var/lib/libvirt/{lxc,qemu,filesystems} /var/cache/generators
ln -s /mnt/bin/virt-sandbox-service-generator /var/cache/generators
cat >/tmp/systemd <<'END'
umount /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mkdir -p /run/lock /run/gates
exec env -i container=virt-sandbox SYSTEMD_GENERATOR_PATH=/var/cache/generators \\
  /lib/systemd/systemd --system --unit=$TARGET --log-target=kmsg --show-status=no
END
cat >/tmp/enter <<'END'
mkdir /sys/fs/cgroup/$1
echo 0 >/sys/fs/cgroup/$1/cgroup.procs
exec unshare --cgroup bash -e /tmp/systemd
END
for ((boot = 0; boot < BOOTS; boot++)); do
  # One that powers off ends by a signal of the kernel.
  unshare --pid --fork --mount --mount-proc bash -e /tmp/enter boot$boot || [ $? -gt 128 ]
done
`;
