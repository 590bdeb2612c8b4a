/** Services as libvirt-sandbox 0.6 has left them: their sandbox.cfg, what lies beside it, and their content. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { Way } from './connections.js';
import { ext4Of, imageFile } from './images.js';
import { uniqueName } from './leftovers.js';
import { runSandbox, SERVICE_PROGRAM } from './run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { SERVICES, TestService } from './services.js';

export interface OldService {
  readonly service: TestService;
  /** The directory with its content, or the image. */
  readonly content: string;
  /** A file of its content, when it does not run. */
  readonly read: (path: string) => string;
}

/** `image`: one with systemd whose content is in an image. */
type Kind = 'generic' | 'systemd' | 'image';

/** Of an image, in bytes. */
const IMAGE_BYTES = 100_000_000;

/** Directories of units that it hid behind lists of its own. */
const WANTS = ['basic', 'local-fs', 'multi-user', 'sysinit', 'sockets'].map(
  (name) => `/usr/lib/systemd/system/${name}.target.wants`,
);

/**
 * What `create NAME -- COMMAND`, `create -u hello NAME` and `create -i 100 -u hello NAME` of it made. It is removed
 * after the test.
 */
export function oldService(
  context: TestContext,
  way: Way,
  kind: Kind,
  command: (above: string) => readonly string[] = () => [],
): OldService {
  const name = uniqueName();
  const above = scratchDirectory(context, WITH_ATTRIBUTES);
  chmodSync(above, 0o711);
  const content = join(above, name);
  mkdirSync(content);
  const put = (path: string, text: string) => {
    mkdirSync(join(content, dirname(path)), { recursive: true });
    writeFileSync(join(content, path), text);
  };
  let mounts = kind === 'generic' ? generic(above, content, put) : systemd(name, content, put);
  const image = kind === 'image' ? `${content}.raw` : undefined;
  if (image !== undefined) {
    ext4Of(content, image, IMAGE_BYTES);
    // It is mounted there.
    rmSync(content, { recursive: true });
    mkdirSync(content);
    mounts = [hostImage(content, image), ...mounts.map((mount) => mount.replace(HOST_BIND, GUEST_BIND))];
  }
  const directory = join(SERVICES, name);
  for (const below of ['config/.libs', 'config/empty'])
    mkdirSync(join(directory, below), { recursive: true, mode: 0o700 });
  for (const path of [directory, join(directory, 'config')]) chmodSync(path, 0o700);
  writeFileSync(join(directory, 'config/disks.cfg'), '');
  writeFileSync(join(directory, 'config/sandbox.cfg'), text(name, kind, mounts, command(above)));
  context.after(async () => {
    const given = { ...way.options, program: SERVICE_PROGRAM };
    await runSandbox(['stop', '-t', '0', name], given);
    await runSandbox(['delete', name], given);
    rmSync(directory, { recursive: true, force: true });
  });
  const read = (path: string) =>
    image === undefined ? readFileSync(join(content, path), 'utf8') : imageFile(image, path);
  return { service: new TestService(name, way), content: image ?? content, read };
}

type Put = (path: string, text: string) => void;

/** The content was bound over the directory above it. */
function generic(above: string, content: string, put: Put): string[] {
  put('data', 'data of 0.6\n');
  return [bind(above, content)];
}

function systemd(name: string, content: string, put: Put): string[] {
  const own = ['/home', '/root', '/etc/systemd/system', '/etc/default', '/var'].filter((path) => existsSync(path));
  for (const path of own) mkdirSync(join(content, path), { recursive: true });
  for (const path of ['log', 'spool', 'cache', 'tmp', 'lib/dbus', 'lib/dhclient', 'www'])
    mkdirSync(join(content, 'var', path), { recursive: true });
  chmodSync(join(content, 'var/tmp'), 0o1777);
  symlinkSync('/run', join(content, 'var/run'));
  put('var/www/page', 'page of 0.6\n');
  put('etc/default/web', 'conf of 0.6\n');
  put('etc/hostname', `${name}\n`);
  put('etc/machine-id', `${'6'.repeat(32)}\n`);
  put('etc/fstab', '');
  put('etc/systemd/system/multi-user.target', '[Unit]\nDescription=Sandbox multi-user target\n');
  put('etc/systemd/system/hello.service', HELLO);
  put('etc/systemd/system/hello.service.d/virt-sandbox.conf', '[Service]\nPrivateTmp=false\nPrivateNetwork=false\n');
  mkdirSync(join(content, 'etc/systemd/system/multi-user.target.wants'));
  symlinkSync(
    '/etc/systemd/system/hello.service',
    join(content, 'etc/systemd/system/multi-user.target.wants/hello.service'),
  );
  for (const path of WANTS) mkdirSync(join(content, path), { recursive: true });
  symlinkSync(
    '/usr/lib/systemd/system/systemd-journald.socket',
    join(content, '/usr/lib/systemd/system/sockets.target.wants/systemd-journald.socket'),
  );
  symlinkSync(
    '/usr/lib/systemd/system/systemd-tmpfiles-setup.service',
    join(content, '/usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service'),
  );
  const files = ['/etc/machine-id', '/etc/fstab', '/etc/hostname'].filter((path) => existsSync(path));
  const rams = [ram('/run', 10), ram('/tmp', 100), ram('/dev/shm', 100)];
  const wants = WANTS.filter((path) => existsSync(path));
  const first = [...own.filter((path) => path !== '/var'), ...files, ...wants];
  return [...rams, ...first.map((path) => bind(path, join(content, path))), bind('/var', join(content, 'var'))];
}

const HELLO = `[Service]
ExecStart=/bin/sh -c 'echo hello >>/var/www/hello; exec sleep 1000'
ExecReload=/bin/sh -c 'echo reloaded >>/var/www/hello'
`;

const HOST_BIND = 'type=GVirSandboxConfigMountHostBind\n';
const GUEST_BIND = 'type=GVirSandboxConfigMountGuestBind\n';

function bind(target: string, source: string): string {
  return `${HOST_BIND}target=${target}\nsource=${source}\n`;
}

function hostImage(target: string, source: string): string {
  return `type=GVirSandboxConfigMountHostImage\ntarget=${target}\nformat=raw\nsource=${source}\n`;
}

function ram(target: string, megabytes: number): string {
  return `type=GVirSandboxConfigMountRam\ntarget=${target}\nusage=${megabytes * 1_048_576}\n`;
}

function text(name: string, kind: Kind, mounts: readonly string[], command: readonly string[]): string {
  const words = command.map((word, index) => `argv.${index}=${word}\n`).join('');
  const groups = mounts.map((mount, index) => `[mount.${index}]\n${mount}`);
  return [
    `[api]\nclass=GVirSandboxConfigService${kind === 'generic' ? 'Generic' : 'Systemd'}\nversion=0.6.0\n`,
    `[core]\nname=${name}\nuuid=${randomUUID()}\nroot=/\narch=x86_64\nshell=false\n`,
    '[identity]\nuid=0\ngid=0\nusername=root\nhomedir=/root\n',
    ...groups,
    '[security]\ndynamic=true\n',
    kind === 'generic' ? `[command]\n${words}` : '[service]\nbootTarget=multi-user.target\n',
  ].join('\n');
}

/** Defines the tests. */
export function itRunsServicesOf06(way: Way): void {
  // They do not say where they run.
  const env = { LIBVIRT_DEFAULT_URI: way.uri };

  const start = async (service: TestService) => {
    const { code, stderr } = await service.run(['start'], [], { env });
    assert.equal(code, 0, stderr);
  };

  /** What stays is told, and stays. */
  const assertKept = async ({ service, content, read }: OldService, path: string, text: RegExp) => {
    const { code, out, stderr } = await service.run(['delete']);
    const said = `virt-sandbox-service: ${service.name} is removed, but its content stays in ${content}\n`;
    assert.deepEqual([code, out, stderr], [0, '', said]);
    assert.match(read(path), text);
    assert.equal(existsSync(join(SERVICES, service.name)), false);
  };

  it('runs a command with its content, also when its file was rewritten', async (t) => {
    const script = 'echo "started with $(cat "$0")"; echo more >>"$0"; exec sleep 1000';
    const old = oldService(t, way, 'generic', (above) => ['/bin/sh', '-c', script, join(above, 'data')]);
    const { service, content } = old;
    assert.match(await listed(service), new RegExp(`^${service.name} +stopped +generic +- +/bin/sh -c`, 'm'));
    assert.match(await service.ok(['show']), /^version=0\.6\.0$/m);
    await start(service);
    assert.equal((await service.status()).state, 'running');
    await service.untilLog('started with data of 0.6\n');
    assert.equal(await service.inside(`cat ${join(content, '..', 'data')}; id -u`), 'data of 0.6\nmore\n0\n');
    await service.ok(['stop']);
    const { stderr } = await service.run(['upgrade']);
    assert.match(stderr, /, of another version, is rewritten\n$/);
    await service.ok(['upgrade']);
    // The file still names none.
    const started = await service.run(['start', '-c', way.uri]);
    assert.equal(started.code, 0, started.stderr);
    const { sandbox } = await service.status();
    assert.equal(sandbox?.platform, way.uri === 'lxc:///' ? 'container' : 'machine');
    await service.untilLog('started with data of 0.6\nstarted with data of 0.6\nmore\n');
    await service.ok(['stop']);
    await assertKept(old, 'data', /^data of 0\.6\nmore\nmore\n$/);
  });

  for (const kind of ['systemd', 'image'] as const)
    it(`runs the units that its content${kind === 'image' ? ' in an image' : ''} wants, and no others`, async (t) => {
      const old = oldService(t, way, kind);
      const { service } = old;
      assert.match(await listed(service), new RegExp(`^${service.name} +stopped +systemd +- +multi-user.target$`, 'm'));
      await start(service);
      // It is ready when its target is.
      const states = 'systemctl is-active multi-user.target hello.service; systemctl is-active cron.service';
      assert.equal(await service.inside(`${states}; true`), 'active\nactive\ninactive\n');
      const facts = 'cat /var/www/page /etc/default/web; hostname; cat /etc/hostname; stat -c %s /etc/fstab';
      assert.equal(await service.inside(facts), `page of 0.6\nconf of 0.6\n${service.name}\n${service.name}\n0\n`);
      const text = await service.ok(['show']);
      const [, uuid = ''] = /^uuid=(.*)$/m.exec(text) ?? [];
      assert.equal(await service.inside('cat /etc/machine-id'), `${uuid.replaceAll('-', '')}\n`);
      await service.fails(['reload'], /does not say which units are its own; name them: .* reload -u UNIT/);
      await service.ok(['reload', '-u', 'hello']);
      await service.inside('echo mine >>/var/www/page');
      await service.ok(['stop']);
      await assertKept(old, 'var/www/hello', /^hello\nreloaded\n$/);
      assert.equal(old.read('var/www/page'), 'page of 0.6\nmine\n');
    });

  const listed = async ({ name }: TestService) => {
    const { out } = await runSandbox(['list'], { ...way.options, program: SERVICE_PROGRAM });
    return out
      .split('\n')
      .filter((line) => line.startsWith(`${name} `))
      .join('\n');
  };
}
