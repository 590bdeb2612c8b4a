/**
 * Promise: root in a service, which has capabilities there, reads and changes no more of the host than everybody may.
 * The attacker is that root, with an overlay that is kept, with one in memory, and without one. The victims are files
 * of the host that only their owner may read.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded, lxc, type Way } from '../helpers/connections.js';
import { freshDirectory } from '../helpers/scratch.js';
import { serviceOf } from '../helpers/services.js';

const SECRET = 'of the host alone';
const NOBODY = 65_534;

/** Where what is written to the root goes: whether the service is made with a state, and a change of its file. */
const OVERLAYS: Readonly<Record<string, { isKept: boolean; change?: (text: string) => string }>> = {
  'an overlay that is kept': { isKept: true },
  'an overlay in memory': {
    isKept: true,
    change: (text) => text.replace(/^\[overlay\]\ntype=directory\npath=.*$/m, '[overlay]\ntype=memory'),
  },
  'no overlay': { isKept: false },
};

/** Where mount(8) and chroot(2) could lead it: what it can do as root of its own namespaces. */
const WAYS = (path: string) => [
  `cat ${path}`,
  `setpriv --reuid=0 --regid=0 --clear-groups cat ${path}`,
  `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups cat ${path}`,
  `cp ${path} /tmp/copy; cat /tmp/copy`,
  `ln ${path} /tmp/link || ln ${path} ${path}.link; cat /tmp/link ${path}.link`,
  `mount --bind ${path} /tmp; cat /tmp/* /tmp`,
  `chroot / cat ${path}`,
  `unshare --user --map-root-user cat ${path}`,
  `unshare --mount cat ${path}`,
  `chmod 644 ${path}; cat ${path}`,
  `chown ${NOBODY} ${path}; setpriv --reuid=${NOBODY} --clear-groups cat ${path}`,
  `mv ${path} ${path}.moved; cat ${path}.moved`,
  // A process of the host's, or the init's, may see more.
  `for root in /proc/[0-9]*/root; do cat $root${path}; done`,
];

for (const [platform, way] of Object.entries({ machine: embedded, container: lxc }) as [string, Way][]) {
  describe(`root in a service in a ${platform}`, { skip: way.skip }, () => {
    let ground: string;
    const files = () => [
      join(ground, 'of-root'),
      join(ground, 'of-nobody'),
      join(ground, 'closed/file'),
      '/etc/shadow',
    ];
    before(() => {
      // Not in /tmp, of which a sandbox has its own.
      ground = freshDirectory('/var/tmp');
      mkdirSync(join(ground, 'closed'));
      for (const path of files().slice(0, 3)) writeFileSync(path, `${SECRET}\n`, { mode: 0o600 });
      chownSync(join(ground, 'of-nobody'), NOBODY, NOBODY);
      chmodSync(join(ground, 'closed/file'), 0o644);
      chmodSync(join(ground, 'closed'), 0o700);
    });
    after(() => rmSync(ground, { recursive: true, force: true }));

    for (const [overlay, { isKept, change }] of Object.entries(OVERLAYS))
      it(`with ${overlay} reads nothing that is its owner's alone`, async (t) => {
        const service = await serviceOf(t, way, { script: 'exec sleep 1000', isKept });
        if (change !== undefined) service.change(change);
        await service.ok(['start']);
        assert.match(await service.inside('grep CapEff /proc/self/status'), /00000000800405fb$/m);
        const shadow = readFileSync('/etc/shadow', 'utf8');
        const before = files().map((path) => statSync(path));
        for (const path of files()) {
          const script = WAYS(path).map((one) => `( ${one} ) 2>/dev/null; `);
          const said = await service.inside(`${script.join('')} true`);
          assert.ok(!said.includes(SECRET) && !said.includes(shadow.slice(0, 20)), said);
        }
        assert.deepEqual(
          files()
            .map((path) => statSync(path))
            .map(({ mode, uid, ino, size }) => ({ mode, uid, ino, size })),
          before.map(({ mode, uid, ino, size }) => ({ mode, uid, ino, size })),
        );
        assert.equal(readFileSync('/etc/shadow', 'utf8'), shadow);
      });
  });
}
