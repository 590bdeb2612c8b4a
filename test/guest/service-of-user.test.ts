/** Services of an ordinary user: in machines, with their states in disk images, all below the user's home. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Way } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, entriesIn, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { runSandbox } from '../helpers/run.js';
import { createdService, TestService } from '../helpers/services.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

const skip = unlessOrdinaryUser() || unlessProgram('qemu-img', 'mke2fs');
const COMMAND = ['--', 'sh', '-c', 'id -u; exec sleep 1000'];

describe('services of an ordinary user', { skip }, () => {
  let user: OrdinaryUser;

  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  const options = () => ({ ...user.options, program: `${user.options.program}-service` });
  const wayOf = (uri: string): Way => ({ uri, skip: false, where: user.where, options: options() });
  const below = (path: string) => join(user.home, path);

  /** A second service of that name is as the first. */
  function removedAfter(t: TestContext, name: string, way: Way): TestService {
    t.after(() => runSandbox(['delete', name], way.options));
    return new TestService(name, way);
  }

  for (const uri of ['qemu:///embed', 'qemu:///session'])
    it(`live over ${uri}, are cloned, upgraded and removed`, async (t) => {
      const way = wayOf(uri);
      const service = await createdService(t, way, ['--restart', 'on-failure'], COMMAND);
      const { name } = service;
      const directory = below(`.config/libvirt-sandbox/services/${name}`);
      const image = below(`.local/share/libvirt-sandbox/images/${name}.qcow2`);
      assert.deepEqual(
        [statSync(directory).mode & 0o777, statSync(image).mode & 0o777, statSync(image).uid],
        [0o700, 0o600, user.uid],
      );
      await service.run(['start']);
      assert.equal((await service.status()).state, 'running');
      await service.untilLog(`${user.uid}\n`);
      assert.equal(await service.inside(`id -u; test -w /srv || echo no; echo kept >/tmp/kept`), `${user.uid}\nno\n`);
      assert.equal(await service.inside('echo kept >/srv/kept; sync; id -u', '--user', '0'), '0\n');
      await service.ok(['stop']);
      assert.equal((await service.run(['upgrade'])).code, 0);
      const clone = removedAfter(t, `${name}-2`, way);
      const cloned = await runSandbox(['clone', name, clone.name], way.options);
      assert.equal(cloned.code, 0, cloned.stderr);
      await clone.run(['start']);
      assert.equal(await clone.inside('cat /srv/kept; hostname'), `kept\n${clone.name}\n`);
      for (const one of [clone, service]) {
        await one.ok(['delete']);
        await assertNothingLeft(one.name, user.where);
      }
      const places = ['.config/libvirt-sandbox/services', '.local/share/libvirt-sandbox/images'];
      const logs = ['.local/state/libvirt-sandbox/services'];
      assert.deepEqual(
        [...places, ...logs].flatMap((path) => entriesIn(below(path)).filter((entry) => entry.includes(name))),
        [],
      );
    });

  it('run units as root inside, and the user is asked for nothing', { skip: unlessHostSystemd }, async (t) => {
    const service = await createdService(t, wayOf('qemu:///embed'), ['-u', 'systemd-journald.service']);
    await service.run(['start']);
    assert.deepEqual(
      (await service.status()).units?.map(({ unit, active }) => [unit, active]),
      [['systemd-journald.service', 'active']],
    );
    assert.equal(await service.inside('id -u; cat /proc/1/comm'), '0\nsystemd\n');
    await service.ok(['stop']);
  });

  it('are no containers, and not over the system', async (t) => {
    for (const uri of ['lxc:///', 'qemu:///system']) {
      const name = uniqueName();
      const service = removedAfter(t, name, wayOf(uri));
      await service.fails(['-c', uri, 'create'], /only root can have services over .*qemu:\/\/\/session/, COMMAND);
      assert.ok(!entriesIn(below('.config/libvirt-sandbox/services')).includes(name));
    }
  });

  it('are refused over the system, whoever has written that into their files', async (t) => {
    const service = await createdService(t, wayOf('qemu:///embed'), [], COMMAND);
    const file = below(`.config/libvirt-sandbox/services/${service.name}/config/sandbox.cfg`);
    const before = readFileSync(file, 'utf8');
    const refusal = (uri: string) =>
      new RegExp(
        `^virt-sandbox-service: service: only root can have services over ${uri}.*qemu:///session or [^\\n]+\\n`,
      );
    const refused = async (words: readonly string[], pattern: RegExp, env: NodeJS.ProcessEnv = {}) => {
      const { code, stderr } = await service.run(words, [], { env: { ...options().env, ...env } });
      assert.equal(code, 125, stderr);
      assert.match(stderr, pattern);
      assert.match((await service.run(['status'])).out, /: stopped, never started\n$/);
    };
    for (const uri of ['lxc:///', 'qemu:///system']) {
      const EDITOR = `sed -i s,^connect=.*,connect=${uri},`;
      await refused(['edit'], refusal(uri), { EDITOR, VISUAL: undefined, TMPDIR: user.home });
      assert.equal(readFileSync(file, 'utf8'), before);
      writeFileSync(file, before.replace(/^connect=.*$/m, `connect=${uri}`));
      for (const command of ['start', 'run']) await refused([command], refusal(uri));
      const clone = await runSandbox(['clone', service.name, `${service.name}-2`], options());
      assert.equal(clone.code, 125, clone.stderr);
      assert.match(clone.stderr, refusal(uri));
      // Without one in the file, that of the settings of libvirt, or of the command, counts.
      writeFileSync(file, before.replace(/^connect=.*\n/m, ''));
      for (const command of ['start', 'run']) {
        await refused([command], refusal(uri), { LIBVIRT_DEFAULT_URI: uri });
        await refused([command, '-c', uri], refusal(uri));
      }
      writeFileSync(file, before);
    }
  });
});
