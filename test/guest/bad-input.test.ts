/**
 * Mistakes that are reported before a guest runs: status 125, one line that names the mistake and the remedy, and
 * nothing left.
 */

import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { hidden, libvirtLibrary, mounted, programPaths, WITHOUT_KVM } from '../helpers/hide.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { copyTree } from '../helpers/module-copies.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, assertRun, type RunOptions, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { privateStore, sharedSnapshot } from '../helpers/snapshots.js';

/** Expects the sandbox to fail; it would otherwise run /bin/true. */
async function fails(args: readonly string[], patterns: readonly RegExp[], options: RunOptions = {}): Promise<void> {
  const name = uniqueName();
  const result = await runSandbox(['-n', name, ...args, '--', '/bin/true'], { timeout: 60_000, ...options });
  assertFailure(result, ...patterns);
  await assertNothingLeft(name);
}

/** libvirt may support a security model only when the kernel has it. */
function unlessUnlabelled(): string | false {
  const found = ['/sys/module/apparmor/parameters/enabled', '/sys/fs/selinux/enforce'].find(existsSync);
  return found === undefined ? false : `this host has ${found}`;
}

const onEmbedded = ['-c', embedded.uri];
/** With modules, which virtiofs need not have. */
const over9p = [...onEmbedded, '--root-fs', '9p'];

describe('bad arguments', { concurrency: 2 }, () => {
  const bad = (name: string, args: readonly string[], ...patterns: readonly RegExp[]) =>
    it(name, async () => void assertFailure(await runSandbox(args, { timeout: 20_000 }), ...patterns));

  bad(
    'a sandbox for --attach, which starts none',
    [...['--attach', 'x', '-m', 'ram:/x=1M', '--dry-run', '-e', 'A=b', '-v'], '--', 'true'],
    /: --attach starts nothing and cannot go with --mount, --env, --dry-run; see /,
  );
  bad('JSON without anything that prints it', ['--json', '--', 'true'], /--json goes with --dry-run/);
  bad('no command', [], /no command/, /-- \/bin\/date/);
  bad('no command behind --', ['--'], /command/);
  bad('no command behind options', ['-v', '-n', 'x'], /command/);
  bad('an unknown long option', ['--no-such-option', '--', 'true'], /no-such-option/, /virt-sandbox --help/);
  bad('an unknown short option', ['-Z', '--', 'true'], /Z/, /virt-sandbox --help/);
  bad('an option without its value', ['--name'], /name/);
  bad('a user that is not known', ['-S', 'no-such-user', '--', 'true'], /user .*no-such-user.* is not known/);
  bad('a name that is a path', ['-n', '../x', '--', 'true'], /\.\.\/x/);
  bad('an empty name', ['-n', '', '--', 'true'], /name/);
  bad('memory that is no size', ['--memory', 'lots', '--', 'true'], /lots/);
  bad('too little memory', ['--memory', '1', '--', 'true'], /memory/);
  bad('no processor', ['--vcpus', '0', '--', 'true'], /0/);
  bad('an acceleration that is none', ['--accel', 'warp', '--', 'true'], /warp/);
  bad('a time that is none', ['--boot-timeout', 'soon', '--', 'true'], /soon/);
  bad('a variable without a name', ['-e', '=x', '--', 'true'], /=x|environment/);
  bad('a working directory that is not absolute', ['--cwd', 'tmp', '--', 'true'], /tmp/);
  bad('a URI of another hypervisor', ['-c', 'xen:///system', '--', 'true'], /xen:\/\/\/system/, /qemu:\/\/\/embed/);
  bad('a kernel version that is a path', ['--kernver', '../x', '--', 'true'], /\.\.\/x/);
});

describe('a label on a host without that security model', {
  skip: embedded.skip || unlessUnlabelled(),
  concurrency: 2,
}, () => {
  for (const way of ['static,label=a', 'dynamic,label=a', 'inherit']) {
    it(way, () =>
      fails([...onEmbedded, '-s', way], [/--security .* needs SELinux or AppArmor/, /leave --security out/]),
    );
  }
});

describe('bad kernels', { skip: embedded.skip || unlessServingKernel, concurrency: 2 }, () => {
  const version = servingKernel ?? '';
  const image = `/boot/vmlinuz-${version}`;
  const kernel = (t: TestContext, content: Buffer) => {
    const path = join(scratchDirectory(t), 'vmlinuz');
    writeFileSync(path, content);
    return path;
  };

  it('a path that does not exist', () =>
    fails([...onEmbedded, '--kernpath', '/no/such/kernel'], [/\/no\/such\/kernel/]));
  it('a path that is a directory', () => fails([...onEmbedded, '--kernpath', '/boot'], [/\/boot/]));
  it('an empty file', (t) => fails([...onEmbedded, '--kernpath', kernel(t, Buffer.alloc(0))], [/vmlinuz/]));
  it('a file that is not a kernel', (t) =>
    fails([...onEmbedded, '--kernpath', kernel(t, readFileSync('/bin/true'))], [/vmlinuz/]));

  for (const kept of [300, 20_000, 3_000_000]) {
    it(`a kernel cut to ${kept} bytes`, (t) =>
      fails([...onEmbedded, '--kernpath', kernel(t, readFileSync(image).subarray(0, kept))], [/vmlinuz/]));
  }

  it('a version that is not installed', () => fails([...onEmbedded, '--kernver', '9.9.9-none'], [/9\.9\.9-none/]));
  it('a version and a path that contradict each other', () =>
    fails([...onEmbedded, '--kernver', '9.9.9-none', '--kernpath', image], [/9\.9\.9-none/]));

  it('a modules directory that does not exist', () =>
    fails([...onEmbedded, '--kernpath', image, '--kmodpath', '/no/such/modules'], [/\/no\/such\/modules/]));

  it('an empty modules directory', (t) =>
    fails([...onEmbedded, '--kernpath', image, '--kmodpath', scratchDirectory(t)], [/virt-sandbox-test-/]));

  it('modules of another version', (t) => {
    const directory = scratchDirectory(t);
    copyTree(version, join(directory, '6.1.0-other'));
    return fails(
      [...onEmbedded, '--kernpath', image, '--kmodpath', directory],
      [/6\.1\.0-other/, new RegExp(version.replace(/[+.]/g, '\\$&'))],
    );
  });

  it('a modules.dep with other content', (t) => {
    const directory = scratchDirectory(t);
    const tree = copyTree(version, join(directory, version));
    writeFileSync(
      join(tree, 'modules.dep'),
      Buffer.from('\x7fELF\x00\x01 kernel without a colon\n\xff\xfe\n', 'latin1'),
    );
    return fails([...onEmbedded, '--kernpath', image, '--kmodpath', directory], [/modules\.dep/]);
  });

  it('a modules.dep that names a missing module', (t) => {
    const directory = scratchDirectory(t);
    const tree = copyTree(version, join(directory, version));
    const text = readFileSync(join(tree, 'modules.dep'), 'utf8');
    writeFileSync(join(tree, 'modules.dep'), text.replaceAll('fs/9p/9p.ko', 'fs/9p/gone/9p.ko'));
    return fails([...over9p, '--kernpath', image, '--kmodpath', directory], [/gone\/9p\.ko/]);
  });

  it('a truncated module', (t) => {
    const directory = scratchDirectory(t);
    const tree = copyTree(version, join(directory, version));
    const [file = ''] = /kernel\/fs\/9p\/9p\.ko[^:\s]*/.exec(readFileSync(join(tree, 'modules.dep'), 'utf8')) ?? [];
    const path = join(tree, file);
    writeFileSync(path, readFileSync(path).subarray(0, 5000));
    return fails([...over9p, '--kernpath', image, '--kmodpath', directory], [/9p\.ko/]);
  });
});

describe('a host that lacks something', { skip: embedded.skip, concurrency: 2 }, () => {
  it('no root directory', () => fails([...onEmbedded, '-r', '/no/such/root'], [/\/no\/such\/root/]));
  it('a root that is a file', () => fails([...onEmbedded, '-r', '/etc/passwd'], [/\/etc\/passdw|\/etc\/passwd/]));

  it('no libvirt at all', () =>
    fails([], [/virt-qemu-run/, /libvirt-daemon-driver-qemu/], {
      through: [
        ...mounted('mount -t tmpfs none /run/libvirt'),
        ...hidden(libvirtLibrary(), ...programPaths('virt-qemu-run')),
      ],
    }));

  it('no libvirt library, which nothing needs where a daemon is', { skip: system.skip }, async () => {
    const args = ['-c', system.uri, '-n', uniqueName(), '--', 'echo', 'inside'];
    assertRun(await runSandbox(args, { through: hidden(libvirtLibrary()) }), 0, 'inside\n');
  });

  it('no daemon behind the URI that was given', () =>
    fails(['-c', 'qemu:///system'], [/qemu:\/\/\/system/, /libvirtd/], {
      through: mounted('mount -t tmpfs none /run/libvirt'),
    }));

  it('no QEMU', (t) => {
    // Its own cache hides what libvirt has found out about QEMU before.
    const env = { XDG_CACHE_HOME: scratchDirectory(t) };
    const programs = programPaths('qemu-system-x86_64', 'qemu-system-i386', 'qemu-kvm', 'kvm');
    return fails(onEmbedded, [/QEMU|qemu|emulator/, /qemu-system-x86/], { through: hidden(...programs), env });
  });

  it('a state directory that is not writable', () =>
    fails(onEmbedded, [/\/run\/libvirt-sandbox/], {
      through: mounted('mkdir -p /run/libvirt-sandbox; mount -t tmpfs -o ro none /run/libvirt-sandbox'),
    }));

  // Node.js itself needs 19. With some 30 QEMU ran, and the guest could not open the program.
  for (const most of [20, 24, 28, 29, 30, 31, 32, 40, 63]) {
    it(`at most ${most} open files`, () =>
      fails(onEmbedded, [/EMFILE|\/etc\/passwd|may have \d+ files open/, /ulimit -n/], {
        through: ['prlimit', `--nofile=${most}`],
      }));
  }

  it('as many open files as a sandbox needs', async () => {
    const name = uniqueName();
    const listing = ['sh', '-c', 'ls -R /usr/lib/modules > /dev/null; cat /etc/passwd'];
    const result = await runSandbox([...onEmbedded, '-n', name, '--', ...listing], {
      through: ['prlimit', '--nofile=64'],
    });
    assertRun(result, 0, readFileSync('/etc/passwd', 'utf8'));
    await assertNothingLeft(name);
  });

  // Each is full at another step of the start.
  for (const options of ['size=4k', 'size=16k', 'size=40k', 'nr_inodes=4', 'nr_inodes=10', 'nr_inodes=14']) {
    it(`/run with ${options}, cold and warm`, async () => {
      const through = mounted(
        `mkdir -p /run/libvirt-sandbox; mount -t tmpfs -o ${options},mode=755 none /run/libvirt-sandbox`,
      );
      // A snapshot is as good as it was: to bake it again would not help.
      const full =
        /(?:ENOSPC|No space left on device|write (?:pid|master key) file|could not be written down).*; free (?:some )?space/;
      const says = [full, /^(?:(?!bake).)*$/];
      const warm = sharedSnapshot() === undefined ? 'auto' : 'warm';
      for (const boot of ['cold', warm]) await fails([...onEmbedded, '--boot', boot], says, { through });
    });
  }

  it('a disk that is full while the image is built', (t) => {
    const cache = scratchDirectory(t);
    return fails(onEmbedded, [/no space is left in .*virt-sandbox/, /XDG_CACHE_HOME/], {
      env: { XDG_CACHE_HOME: cache },
      through: mounted(`mount -t tmpfs -o size=4m,mode=755 none ${cache}`),
    });
  });

  it('a store that is not writable', (t) => {
    const cache = scratchDirectory(t);
    return fails(onEmbedded, [/images cannot be written to/], {
      env: { XDG_CACHE_HOME: cache },
      through: mounted(`mount -t tmpfs -o ro,mode=755 none ${cache}`),
    });
  });

  it('--accel kvm with a KVM that does not run a guest', async (t) => {
    if (programPaths('qemu-system-x86_64').length === 0) return t.skip('there is no QEMU');
    const { env, remove } = privateStore();
    t.after(remove);
    await fails([...onEmbedded, '--accel', 'kvm'], [/KVM/, /--accel tcg/], { env, through: WITHOUT_KVM });
  });
});

describe('an ordinary user', { skip: unlessOrdinaryUser() || unlessServingKernel, concurrency: 2 }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create({ emptyStore: true });
  });
  after(() => user.end());

  it('who cannot read the kernel', async (t) => {
    const path = join(scratchDirectory(t), 'vmlinuz');
    writeFileSync(path, readFileSync(`/boot/vmlinuz-${servingKernel}`));
    chmodSync(path, 0o600);
    const name = uniqueName();
    const args = ['-c', 'qemu:///embed', '-n', name, '--kernpath', path, '--', 'true'];
    assertFailure(await runSandbox(args, user.options), /vmlinuz/, /read/);
    await assertNothingLeft(name, { state: user.home });
  });

  it('whose cache is not writable', async (t) => {
    const cache = join(scratchDirectory(t), 'cache');
    mkdirSync(cache, { mode: 0o755 });
    const env = { ...user.options.env, XDG_CACHE_HOME: cache };
    assertFailure(await runSandbox(['-c', 'qemu:///embed', '--', 'true'], { ...user.options, env }), /cache/);
  });

  it('who has no passwd entry: libvirt refuses, and the error says so', async (t) => {
    const home = scratchDirectory(t);
    chownSync(home, 54_321, 54_321);
    const through = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', '--'];
    const env = { ...user.options.env, HOME: home, XDG_RUNTIME_DIR: home };
    const result = await runSandbox(['-c', 'qemu:///embed', '--', 'true'], { ...user.options, env, through });
    // The reason must not be empty.
    assertFailure(result, /: [^;: ]+ [^;]*;/);
  });
});
