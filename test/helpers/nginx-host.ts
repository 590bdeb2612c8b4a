/**
 * A host on which APT installs nginx: this one, in mount, network and PID namespaces of its own, where what a package
 * and a service change is private. Other than on a host of one's own:
 *
 * - the archive of APT is a directory with the packages that scripts/setup has unpacked, and APT asks no question;
 * - what packages have below /usr/share is left out, since that is too much to copy;
 * - nothing that is installed is started: there is no systemd.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { sha256 } from '../../src/image/manifest.js';
import type { NginxPackage } from './nginx-packages.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from './private-libvirt.js';
import { REPOSITORY, type RunResult, runSandbox } from './run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';

const ARCHIVE = '/var/local/archive';

/** What packages of nginx change, as copies; all of /var but the packages is new. */
const COPIED = ['/etc', '/usr/sbin', '/usr/lib/systemd/system', '/var/lib/dpkg'];
const NEW = [
  ...['cache/apt/archives/partial', 'lib/apt/lists/partial', 'lib/systemd', 'local/archive', 'log/libvirt', 'tmp'],
  'www/html',
].map((name) => `/var/${name}`);

const APT = `APT::Get::Assume-Yes "true";
APT::Sandbox::User "root";
DPkg::Options { "--path-exclude=/usr/share/*"; "--force-unsafe-io"; };
DPkg::Use-Pty "false";
`;

const STATUS = '/var/lib/dpkg/status';

/** A reason to skip, or false if there can be such a host here. */
export function unlessNginxHost(): string | false {
  const why = unlessPrivateLibvirt();
  if (why !== false) return why;
  if (!existsSync(STATUS)) return 'this is no Debian';
  const status = readFileSync(STATUS, 'utf8');
  return /^Package: nginx(?:-common)?\n/m.test(status) ? 'this host has nginx' : false;
}

export class NginxHost {
  readonly #libvirt: PrivateLibvirt;
  /** Of the archive, seen from outside. */
  readonly #archive: string;

  private constructor(libvirt: PrivateLibvirt, archive: string) {
    this.#libvirt = libvirt;
    this.#archive = archive;
  }

  static async start(context: Pick<TestContext, 'after'>): Promise<NginxHost> {
    const ground = scratchDirectory(context, WITH_ATTRIBUTES);
    for (const path of NEW) mkdirSync(join(ground, path), { recursive: true });
    for (const path of COPIED) {
      mkdirSync(join(ground, path), { recursive: true });
      // Other tests make and remove services in /etc/libvirt-sandbox meanwhile.
      const names = readdirSync(path).filter((name) => name !== 'libvirt-sandbox');
      execFileSync('cp', ['-a', '-t', join(ground, path), ...names.map((name) => join(path, name))]);
    }
    for (const path of ['apt/sources.list', 'apt/sources.list.d', 'apt/preferences.d'])
      rmSync(join(ground, 'etc', path), { recursive: true, force: true });
    writeFileSync(join(ground, 'etc/apt/sources.list'), `deb [trusted=yes] file:${ARCHIVE} ./\n`);
    writeFileSync(join(ground, 'etc/apt/apt.conf.d/zz-test'), APT);
    // It may be a link that leads out of the copy.
    rmSync(join(ground, 'usr/sbin/policy-rc.d'), { force: true });
    writeFileSync(join(ground, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    // What the package copies from where it is left out here.
    writeFileSync(join(ground, 'var/www/html/index.nginx-debian.html'), '');
    const host = new NginxHost(await PrivateLibvirt.start(mounts(ground)), join(ground, ARCHIVE));
    context.after(async () => {
      // Their control groups would stay.
      await host.shell('cd /etc/libvirt-sandbox/services && virt-sandbox-service delete *');
      await host.#libvirt.end();
    });
    return host;
  }

  /** From now on the archive has this version alone. */
  async offer({ files }: NginxPackage): Promise<void> {
    const entries = files.map((file) => {
      const bytes = readFileSync(file);
      const fields = execFileSync('dpkg-deb', ['-f', file], { encoding: 'utf8' }).trimEnd();
      return `${fields}\nFilename: ./${basename(file)}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`;
    });
    for (const file of files) copyFileSync(file, join(this.#archive, basename(file)));
    writeFileSync(join(this.#archive, 'Packages'), entries.join('\n'));
    await this.#libvirt.run('apt-get', 'update');
  }

  /** Runs a line of a shell as root, with the programs of this repository. */
  shell(line: string): Promise<RunResult> {
    const env = { PATH: `${REPOSITORY}bin:${process.env['PATH']}`, DEBIAN_FRONTEND: 'noninteractive' };
    return runSandbox(['-c', line], { program: 'sh', through: this.#libvirt.through, env });
  }
}

/** Mounts what is private. */
function mounts(ground: string): string {
  const kept = REPOSITORY.startsWith('/var/')
    ? `mkdir -p ${ground}${REPOSITORY}; mount --bind ${REPOSITORY} ${ground}${REPOSITORY}`
    : '';
  return `${kept}
# A package that puts something elsewhere fails, and changes nothing of the real host.
mount --rbind /usr /usr
mount -o remount,bind,ro /usr
for path in /etc /usr/sbin /usr/lib/systemd/system /var; do mount --rbind ${ground}$path $path; done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
ln -s ../run /var/run
ln -s ../run/lock /var/lock
`;
}
