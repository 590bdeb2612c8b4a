/** Containers of OCI images with users that no container has: their ids are above 65535. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { ctl, endDetached } from '../helpers/ctl.js';
import { ask } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

const skip = lxc.skip || unlessBusyboxImage;

/** With a store of its own, and the shell that the images have. */
function how(t: TestContext) {
  return { ...lxc.options, env: { XDG_CACHE_HOME: scratchDirectory(t) }, shell: ['/bin/sh'] };
}

describe('an image as the root of a container', { skip, concurrency: 2 }, () => {
  it('shows files of users above 65535 as of nobody, and has no such users', async (t) => {
    const big = 5_000_000;
    const image = scratchImage(t, [
      { name: 'open', data: 'open\n', uid: big, gid: big },
      { name: 'closed', data: 'closed\n', uid: big, mode: 0o600 },
      { name: 'etc/passwd', data: `root:x:0:0::/:/bin/sh\nbig:x:${big}:0::/:/bin/sh\ngroup:x:1:65536::/:/bin/sh\n` },
    ]);
    const options = how(t);
    const found = await ask(
      ['-c', lxc.uri, '--root', image],
      {
        owners: 'stat -c "%u %g" /open /closed',
        read: 'cat /open; cat /closed',
        change: 'chown 0 /open; rm /open; ls /open',
      },
      options,
    );
    assert.equal(found.owners, '65534 65534\n65534 0');
    assert.match(found.read, /^open\n.*\/closed': Permission denied$/);
    assert.match(found.change, /\/open: Operation not permitted\n.*'\/open': Value too large.*\n\/open$/);
    for (const user of ['65536', `0:${big}`])
      assertFailure(
        await runSandbox(['-c', lxc.uri, '--root', image, '--user', user, '--', 'true'], options),
        /the user of the image has the id (65536|5000000), and a container has ids up to 65535/,
        /--user/,
      );
    const name = uniqueName();
    t.after(() => endDetached(name, options));
    const started = ['-c', lxc.uri, '-n', name, '--detach', '--root', image, '--', 'sleep', '1000'];
    assertRun(await runSandbox(started, options), 0, `${name}\n`);
    for (const words of [
      ['exec', '--user', 'big', name, '--', 'true'],
      ['cp', '--user', 'group', `${name}:/open`, scratchDirectory(t)],
    ]) {
      const { stderr } = await ctl(words, options);
      assert.match(stderr, /the user has the id (65536|5000000), and a container has ids up to 65535; name another/);
    }
  });

  it('has a topmost directory of a user above 65535, also where that is kept', async (t) => {
    const big = 70_000;
    const image = scratchImage(t, [{ name: './', type: '5', uid: big, gid: big, mode: 0o755 }]);
    const options = how(t);
    const kept = `--overlay=${join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept')}`;
    const owner = 'stat -c "%u %g %a" /';
    assert.deepEqual(await ask(['-c', lxc.uri, '--root', image], { owner }, options), { owner: '65534 65534 755' });
    for (let times = 0; times < 2; times += 1) {
      const found = await ask(
        ['-c', lxc.uri, '--root', image, kept],
        { owner, made: 'touch /etc/made; ls /etc/made' },
        options,
      );
      assert.deepEqual(found, { owner: '0 0 755', made: '/etc/made' });
    }
  });
});
