/**
 * A host with SELinux: a disk image with a labelled root, in which Debian's policy is loaded and libvirtd runs. The
 * policy comes from packages that scripts/setup unpacks, because installed ones change how this machine boots.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findVirtiofsd } from '../../src/sandbox/devices/share-server.js';
import { programPaths } from './hide.js';
import { ext4Of } from './images.js';
import { REPOSITORY } from './run.js';
import { DEBIAN_KERNEL, installedKernelPath } from './scratch.js';

const PACKAGES = `${REPOSITORY}build/unpacked`;
const MODULES = `${PACKAGES}/usr/share/selinux/default`;
const LIBVIRT = '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver';

/** A reason to skip, or false if the packages are unpacked. */
export const unlessPolicy = existsSync(`${MODULES}/virt.pp.bz2`)
  ? false
  : 'selinux-policy-default is not unpacked (scripts/setup test does it, on Debian)';

/** Programs of the host's root. QEMU's and libvirt's parts come with them. */
const PROGRAMS = [
  ...['bash', 'cat', 'chmod', 'dmesg', 'env', 'grep', 'kill', 'ls', 'mkdir', 'mount', 'ps', 'rm', 'runcon'],
  ...['sed', 'seq', 'sleep', 'stat', 'tail', 'truncate', 'umount', 'node', 'qemu-system-x86_64', 'virsh'],
  ...['virt-qemu-run', 'libvirtd', 'virtlogd', 'modprobe', 'qemu-img', 'mke2fs'],
];

/** Programs of the unpacked packages. */
const POLICY_PROGRAMS = ['load_policy', 'restorecon', 'setenforce', 'getenforce', 'setsebool'];

/**
 * Makes the image.
 * @param directory scratch
 * @param allow what the host's administrator adds to the policy, in its language CIL
 * @returns the path of a raw image with ext4
 */
export function selinuxHost(directory: string, allow: string): string {
  const root = join(directory, 'root');
  makeRoot(root);
  makePolicy(root, directory, allow);
  const contexts = join(root, 'etc/selinux/default/contexts/files/file_contexts');
  execFileSync(join(PACKAGES, 'usr/sbin/setfiles'), ['-F', '-r', root, contexts, root], { stdio: 'ignore' });
  return ext4Of(root, join(directory, 'host.img'), 1 << 30);
}

function makeRoot(root: string): void {
  const directories = ['proc', 'sys', 'dev', 'run', 'tmp', 'mnt', 'boot', 'root', 'usr/lib/modules', 'usr/lib64'];
  const libvirts = [
    'lib/libvirt/qemu',
    'lib/libvirt/images',
    'lib/libvirt/filesystems',
    'log/libvirt/qemu',
    'cache/libvirt',
    'lib/selinux/default',
  ];
  for (const name of [...directories, ...libvirts.map((path) => `var/${path}`)]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  const programs = PROGRAMS.map((name) => programPaths(name)[0] ?? name);
  const files = [
    ...programs,
    ...['qemu', 'lxc'].map((driver) => `${LIBVIRT}/libvirt_driver_${driver}.so`),
    '/usr/lib/libvirt/libvirt_lxc',
    findVirtiofsd() ?? 'virtiofsd',
  ];
  const own = POLICY_PROGRAMS.map((name) => join(PACKAGES, 'usr/sbin', name));
  for (const path of [...files, ...librariesOf([...files, ...own])]) copy(path, join(root, path));
  for (const path of own) copy(path, join(root, 'usr/sbin', path.slice(dirname(path).length)));
  for (const path of ['/usr/share/qemu', '/usr/share/seabios', '/usr/share/libvirt', '/etc/libvirt']) {
    cpSync(path, join(root, path), { recursive: true, dereference: true });
  }
  for (const path of ['/etc/passwd', '/etc/group', '/etc/shadow', installedKernelPath(DEBIAN_KERNEL)]) {
    copy(path, join(root, path));
  }
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(root, name));
  symlinkSync('bash', join(root, 'usr/bin/sh'));
  symlinkSync('/run', join(root, 'var/run'));
  // Debian's policy does not let libvirtd set up a /dev for each QEMU.
  appendFileSync(join(root, 'etc/libvirt/qemu.conf'), '\nnamespaces = []\n');
  // Where all is emulated, a launcher that builds an image may be silent for longer than libvirtd bears.
  appendFileSync(join(root, 'etc/libvirt/libvirtd.conf'), '\nkeepalive_interval = -1\n');
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { dereference: true });
}

/** The libraries of these programs and libraries, by paths below /usr. */
function librariesOf(files: readonly string[]): Set<string> {
  const output = execFileSync('ldd', files, { encoding: 'utf8', maxBuffer: 1 << 24 });
  const paths = [...output.matchAll(/(?:=> |^\t)(\/\S+) \(/gm)].map(([, path = '']) => path);
  return new Set(paths.map((path) => (path.startsWith('/usr/') ? path : `/usr${path}`)));
}

/** Compiles Debian's policy into the root, as the package does when it is installed. */
function makePolicy(root: string, directory: string, allow: string): void {
  const settings = join(root, 'etc/selinux');
  cpSync(join(PACKAGES, 'etc/selinux'), settings, { recursive: true });
  writeFileSync(join(settings, 'config'), 'SELINUX=permissive\nSELINUXTYPE=default\n');
  const compiler = join(PACKAGES, 'usr/libexec/selinux/hll');
  const tools = Object.entries({
    sefcontext_compile: join(PACKAGES, 'usr/sbin/sefcontext_compile'),
    setfiles: '/bin/true',
  });
  const sections = tools.map(([name, path]) => `[${name}]\npath = ${path}\nargs = $@\n[end]\n`);
  // Without compression of what it keeps, this takes half the time.
  const lines = ['module-store = direct', 'expand-check = 0', `compiler-directory = ${compiler}`, 'bzip-blocksize = 0'];
  writeFileSync(join(settings, 'semanage.conf'), `${lines.join('\n')}\n${sections.join('')}`);
  const local = join(directory, 'local.cil');
  writeFileSync(local, allow);
  const names = readFileSync(join(MODULES, '.modules'), 'utf8').split(/\s+/).filter(Boolean);
  const modules = [...names.map((name) => join(MODULES, `${name}.pp.bz2`)), local];
  execFileSync(
    join(PACKAGES, 'usr/sbin/semodule'),
    ['-p', root, '-n', '-s', 'default', '-X', '100', ...modules.flatMap((path) => ['-i', path])],
    { stdio: 'pipe' },
  );
}

/**
 * The script that makes a host of a guest whose disk with the tag `root` has the image. It runs `commands` there, as
 * root logs in: unconfined, with SELinux enforced. The repository is at /mnt.
 */
export function onSelinuxHost(commands: string): string {
  return `
set -e
host=/run/host
mkdir $host
mount -t ext4 /dev/disk/by-tag/root $host
mount -t selinuxfs none /sys/fs/selinux
mount -t cgroup2 none /sys/fs/cgroup
for directory in dev sys mnt; do mount --rbind /$directory $host/$directory; done
mount -t proc none $host/proc
mount -t tmpfs none $host/run
mount --bind /usr/lib/modules $host/usr/lib/modules
mkdir -p $host/run/lock $host/run/libvirt/qemu $host/run/libvirt/common
echo 0 >/proc/sys/kernel/printk_ratelimit
cat >$host/run/commands <<'END'
${commands}
END
export PATH=/usr/sbin:/usr/bin HOME=/root
cd $host
# No chroot: in one the kernel makes no user namespace, nor is the root that of the mount namespace.
exec unshare --mount --propagation private /bin/bash -ec '
  pivot_root . .
  umount -l .
  cd /
  load_policy -i
  restorecon -R /dev /run
  # A QEMU with two categories may write to a log without any.
  runcon system_u:system_r:virtlogd_t:s0 virtlogd -d
  runcon system_u:system_r:virtd_t:s0-s0:c0.c1023 libvirtd -d
  restorecon -R /run/libvirt /var/log /var/cache /var/lib/libvirt
  # Node.js and an emulator make code while they run. An administrator who uses them allows it.
  setsebool allow_execmem=1 virt_use_execmem=1
  exec runcon unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023 bash -c "setenforce 1; . /run/commands"
'
`;
}
