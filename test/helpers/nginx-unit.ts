/** Debian's own nginx.service, as it is in the package, as a service. The same in machines and in containers. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { it } from 'node:test';
import type { Way } from './connections.js';
import { newerNginx } from './nginx-packages.js';
import { scratchDirectory } from './scratch.js';
import { createdService } from './services.js';
import { addPrograms, systemdRoot } from './systemd-root.js';

const [WWW_DATA, ADM] = [33, 4];
const LOGS = ['/var/log/nginx/access.log', '/var/log/nginx/error.log'];

/** A root in which the package is installed: its files, and what its scripts and those of base-passwd make. */
function nginxRoot(root: string): string {
  systemdRoot(root, {});
  addPrograms(root, [join(newerNginx.root, 'usr/sbin/nginx'), '/usr/sbin/start-stop-daemon']);
  cpSync(newerNginx.root, root, { recursive: true, verbatimSymlinks: true });
  appendFileSync(join(root, 'etc/passwd'), `www-data:x:${WWW_DATA}:${WWW_DATA}::/var/www:/bin/false\n`);
  appendFileSync(join(root, 'etc/group'), `www-data:x:${WWW_DATA}:\nadm:x:${ADM}:\n`);
  symlinkSync('/etc/nginx/sites-available/default', join(root, 'etc/nginx/sites-enabled/default'));
  mkdirSync(join(root, 'var/www/html'), { recursive: true });
  copyFileSync(join(root, 'usr/share/nginx/html/index.html'), join(root, 'var/www/html/index.nginx-debian.html'));
  for (const log of LOGS.map((path) => join(root, path))) {
    writeFileSync(log, 'of the host\n');
    chmodSync(log, 0o640);
    chownSync(log, WWW_DATA, ADM);
  }
  return root;
}

/** Makes the packages known to dpkg, which by itself would run their scripts in the root. */
function register(root: string): void {
  const database = join(root, 'var/lib/dpkg');
  mkdirSync(join(database, 'info'), { recursive: true });
  for (const name of ['updates', 'triggers']) mkdirSync(join(database, name));
  for (const file of newerNginx.files) {
    const [name = ''] = basename(file).split('_');
    const fields = execFileSync('dpkg-deb', ['-f', file], { encoding: 'utf8' }).trimEnd();
    const paths = execFileSync('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" | tar -t', 'sh', file], { encoding: 'utf8' });
    appendFileSync(join(database, 'status'), `${fields}\nStatus: install ok installed\n\n`);
    writeFileSync(
      join(database, 'info', `${name}.list`),
      paths.replaceAll(/^\.(.*?)\/?$/gm, (_, path: string) => path || '/.'),
    );
  }
}

/** Defines the test. */
export function itRunsNginx(way: Way): void {
  it('starts, answers, reloads and stops', async (t) => {
    const root = nginxRoot(scratchDirectory(t));
    register(root);
    const options = ['-r', root, '-C', '--publish', '80', '-u', 'nginx.service'];
    const service = await createdService(t, way, options);
    const { code, stderr } = await service.run(['start']);
    assert.equal(code, 0, stderr);
    const { units, ports, health } = await service.status();
    assert.deepEqual(
      units?.map(({ unit, active }) => [unit, active]),
      [['nginx.service', 'active']],
    );
    assert.equal(health?.isWell, true);
    const get = () => fetch(`http://${ports[0]?.host}/`, { headers: { connection: 'close' } });
    const welcome = await get();
    assert.equal(welcome.status, 200);
    assert.match(await welcome.text(), /<h1>Welcome to nginx!<\/h1>/);
    assert.match(
      await service.inside(`cat ${LOGS.join(' ')}`),
      /^127\.0\.0\.1 - - \[.*\] "GET \/ HTTP\/1\.1" 200 .*\n$/,
    );
    const processes = 'systemctl show -P MainPID nginx; grep -h ^Uid: /proc/$(cat /run/nginx.pid)/status';
    const before = await service.inside(processes);
    assert.match(before, /^\d+\nUid:\t0\t/);
    await service.inside("echo 'add_header Reloaded yes;' > /etc/nginx/conf.d/reloaded.conf");
    assert.equal((await get()).headers.get('reloaded'), null);
    await service.ok(['reload']);
    // The workers of before answer until the new ones have begun.
    await service.eventually(get, ({ headers }) => headers.get('reloaded') === 'yes');
    assert.equal(await service.inside(processes), before);
    await service.ok(['stop']);
    const { state, lastEnd } = await service.status();
    assert.deepEqual([state, lastEnd?.why, lastEnd?.exitCode], ['stopped', 'stopped', 0]);
    await assert.rejects(get);
  });
}
