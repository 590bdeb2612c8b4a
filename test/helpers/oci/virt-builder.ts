/** virt-builder with an index and templates of its own: nothing comes from a network. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programPaths } from '../hide.js';
import { unlessProgram } from '../images.js';
import { leftAtLast, processesWith } from '../leftovers.js';
import { BUSYBOX, unlessBusybox } from '../roots.js';
import { unlessRoot } from '../scratch.js';

/** CAP_NET_BIND_SERVICE, permitted and effective: struct vfs_cap_data of linux/capability.h. */
const MAY_BIND = '0x0100000200040000000000000000000000000000';

/** Directories that packages have; libguestfs makes its machine of the files that dpkg lists, which may lack them. */
const DIRECTORIES = ['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'var/lib', 'var/log', 'sysroot', 'etc'];

/** A reason to skip, or false if templates can be made and built here. */
export function unlessVirtBuilder(): string | false {
  return (
    unlessBusybox ||
    unlessRoot('makes files of other owners') ||
    unlessProgram('virt-builder', 'virt-tar-out', 'guestfish', 'supermin', 'mke2fs', 'setfattr', 'xz', 'tar')
  );
}

export interface TemplateHost {
  /** For virt-builder and libguestfs. */
  readonly env: Readonly<Record<string, string>>;
  /** The index of the templates `test-1`, `secret` (hidden), and `far` for aarch64; `damaged` is not what it says. */
  readonly index: string;
}

/** Makes an index, and the template that it names, below a directory. */
export function makeTemplates(ground: string): TemplateHost {
  const disk = makeDisk(ground);
  const packed = join(ground, 'disk.img.xz');
  writeFileSync(packed, execFileSync('xz', ['-0', '--stdout', disk], { maxBuffer: 1 << 28 }));
  const index = join(ground, 'index');
  const sum = createHash('sha512').update(readFileSync(packed)).digest('hex');
  const sizes = { size: statSync(disk).size, compressed_size: statSync(packed).size };
  const template = (name: string, arch: string, more: object) =>
    `[${name}]\n${Object.entries({
      name,
      arch,
      file: 'disk.img.xz',
      'checksum[sha512]': sum,
      format: 'raw',
      ...sizes,
      ...more,
    })
      .map(([key, value]) => `${key}=${value}\n`)
      .join('')}`;
  const templates = [
    template('test-1', 'x86_64', {}),
    template('secret', 'x86_64', { hidden: true }),
    template('far', 'aarch64', {}),
    template('damaged', 'x86_64', { 'checksum[sha512]': sum.replace(/^../, sum.startsWith('00') ? '11' : '00') }),
  ];
  writeFileSync(index, templates.join('\n'));
  const sources = join(ground, 'config/virt-builder/repos.d');
  mkdirSync(sources, { recursive: true });
  writeFileSync(join(sources, 'own.conf'), `[own]\nuri=file://${index}\n`);
  // A file of the user's is in the place of the host's with its name: those ask the internet.
  for (const name of hostSources()) writeFileSync(join(sources, name), '');
  return { index, env: { XDG_CONFIG_HOME: join(ground, 'config'), ...applianceOf(ground) } };
}

/** The directories of libguestfs' sockets, which are in /tmp, whatever TMPDIR says. */
export function sockets(): string[] {
  return readdirSync('/tmp').filter((name) => name.startsWith('libguestfs'));
}

/**
 * What is there beside `before`, and stays. What others do with libguestfs meanwhile has sockets or a machine, and does
 * not count.
 */
export function socketsLeft(before: readonly string[]): Promise<string[]> {
  return leftAtLast(() => {
    const added = sockets().filter((name) => !before.includes(name));
    const bound = readFileSync('/proc/net/unix', 'utf8');
    return added.filter((name) => !bound.includes(`/tmp/${name}/`) && processesWith(`/tmp/${name}/`).length === 0);
  });
}

function hostSources(): string[] {
  const directories = ['/etc/virt-builder/repos.d', '/etc/xdg/virt-builder/repos.d'];
  return directories.flatMap((directory) => {
    try {
      return readdirSync(directory).filter((name) => name.endsWith('.conf'));
    } catch {
      return [];
    }
  });
}

/** A disk that is one ext4, with what libguestfs knows a Debian by. */
function makeDisk(ground: string): string {
  const [tree, disk] = [join(ground, 'tree'), join(ground, 'disk.img')];
  for (const name of ['bin', 'etc', 'usr/lib', 'usr/bin', 'boot', 'dev', 'proc', 'sys', 'run', 'tmp', 'root', 'srv'])
    mkdirSync(join(tree, name), { recursive: true });
  cpSync(BUSYBOX, join(tree, 'bin/busybox'));
  for (const name of ['sh', 'ls', 'cat', 'id', 'stat', 'grep', 'head']) symlinkSync('busybox', join(tree, 'bin', name));
  const files: Readonly<Record<string, string>> = {
    'etc/os-release': 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Test 12"\n',
    'etc/debian_version': '12.5\n',
    'etc/fstab': '/dev/sda / ext4 defaults 0 1\n',
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nweb:x:1234:1235::/srv:/bin/sh\n',
    'etc/shadow': 'root:$1$open:19000:0:99999:7:::\n',
    'etc/group': 'root:x:0:\nweb:x:1235:\n',
    'boot/vmlinuz': 'a kernel',
    'srv/owned': 'of web',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(tree, name), text);
  chmodSync(join(tree, 'etc/shadow'), 0o640);
  execFileSync('chown', ['1234:1235', join(tree, 'srv/owned')]);
  execFileSync('setfattr', ['-n', 'security.capability', '-v', MAY_BIND, join(tree, 'bin/busybox')]);
  execFileSync('truncate', ['-s', '32M', disk]);
  execFileSync(programPaths('mke2fs')[0] ?? 'mke2fs', ['-q', '-t', 'ext4', '-d', tree, disk], { stdio: 'pipe' });
  return disk;
}

/** libguestfs' machine with the directories that it needs, emulated: KVM of a host that is a machine may be broken. */
function applianceOf(ground: string): Readonly<Record<string, string>> {
  const own = execFileSync('guestfish', ['get-path'], { encoding: 'utf8' }).trim().split(':')[0] ?? '';
  const [appliance, extra] = [join(ground, 'appliance'), join(ground, 'extra')];
  cpSync(join(own, 'supermin.d'), join(appliance, 'supermin.d'), { recursive: true });
  for (const name of DIRECTORIES) mkdirSync(join(extra, name), { recursive: true });
  writeFileSync(join(extra, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(extra, 'etc/group'), 'root:x:0:\ntty:x:5:\ndisk:x:6:\n');
  const archive = join(appliance, 'supermin.d/zz-directories.tar.gz');
  execFileSync('tar', ['-C', extra, '-czf', archive, '.']);
  return { LIBGUESTFS_PATH: appliance, LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' };
}
