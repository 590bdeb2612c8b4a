/** What dpkg, APT and make install in a container with --overlay. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { makePackages } from '../helpers/packages.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-overlay-packages-');
const OWN = uniqueName();
const [SAYER, TOOL] = [`${OWN}-sayer`, `${OWN}-tool`];
const MADE = [`/usr/bin/${SAYER}`, `/etc/${SAYER}`, `/usr/local/bin/${TOOL}`, `/usr/local/share/${TOOL}`];
const PRIVILEGED = /^virt-sandbox: warning: a privileged container is no barrier/;

function hostNow(): string {
  assert.deepEqual(MADE.filter(existsSync), []);
  return fingerprint(ground);
}

before(() => chmodSync(ground, 0o755));
after(() => rmSync(ground, { recursive: true, force: true }));

describe('packages in a container', { skip: lxc.skip || unlessProgram('dpkg-deb', 'apt-get', 'make') }, () => {
  before(() => makePackages(ground, { sayer: SAYER, tool: TOOL }));

  // Without -p, APT may not become its own user.
  for (const [how, args, apt, stderr] of [
    ['in its user namespace', [], 'apt-get -o APT::Sandbox::User=root', /^$/],
    ['with -p', ['-p'], 'apt-get', PRIVILEGED],
  ] as const) {
    it(`dpkg, APT and make install programs for root ${how}, and the host has none of them`, async () => {
      const earlier = hostNow();
      const found = await ask(
        ['-c', lxc.uri, '--overlay', ...args],
        {
          dpkg: `dpkg -i ${ground}/sayer.deb >/tmp/log 2>&1 && ${SAYER} && dpkg-query -W ${SAYER}`,
          remove: `dpkg -P ${SAYER} >/tmp/log 2>&1 && ls /usr/bin/${SAYER}`,
          apt: `${apt} install -y ${ground}/sayer.deb >/tmp/log 2>&1 && ${SAYER}`,
          make: `make -s -C ${ground}/source install && ${TOOL} && ls /usr/local/share/${TOOL}`,
        },
        { ...lxc.options, stderr },
      );
      assert.deepEqual(found, {
        dpkg: `set up\n${SAYER}\t1`,
        remove: `ls: cannot access '/usr/bin/${SAYER}': No such file or directory`,
        apt: 'set up',
        make: 'made\ntool',
      });
      assert.equal(hostNow(), earlier);
      assert.equal(readFileSync('/var/lib/dpkg/status', 'utf8').includes(SAYER), false);
    });
  }
});
