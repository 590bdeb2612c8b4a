/** Which sandboxes have rules for the links that includes go over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { withHomeMount } from '../../../../src/config/home.js';
import { configFromOptions } from '../../../../src/config/options.js';
import type { LinkRules } from '../../../../src/includes/inside-mount.js';
import { linkRules } from '../../../../src/sandbox/setup/include-links.js';

type Options = Partial<Parameters<typeof configFromOptions>[0]>;

/** @param more what the guest has besides */
async function rulesFor(options: Options, more: Partial<GuestConfig> = {}): Promise<LinkRules | undefined> {
  const config = withHomeMount(await configFromOptions({ command: ['/bin/true'], ...options }));
  const asked = { platform: 'machine', mounts: [], identity: config.identity, ...more } as unknown as GuestConfig;
  return linkRules(config, asked, asked);
}

const A = 'host-bind:/srv=/usr/share';
const B = 'host-bind:/mnt=/usr/share';
const memory = 'ram:/opt=1M';
const second = 'guest-bind:/opt=/srv';

test('in a machine where links lead to no directory of the host, none is looked for', async () => {
  assert.equal(await rulesFor({ mount: [memory, second] }), undefined);
  assert.equal(await rulesFor({ root: '/usr', mount: [memory] }), undefined);
  assert.equal(await rulesFor({ mount: [`${A},ro`, second], disk: ['file:a=/usr/disk,ro'] }), undefined);
});

test('in a machine where nobody can have left a link, none is looked for', async () => {
  assert.equal(await rulesFor({ mount: [A, memory, 'ram:/opt/deep=1M', 'host-bind:/media='] }), undefined);
  assert.equal(await rulesFor({ mount: ['ram:/=1M', A] }), undefined);
});

test('in a machine they are looked for where an earlier run, or another root, may have some', async () => {
  const all: Options[] = [
    { mount: [A, B, second] },
    { mount: [`${A},ro`, B, second] },
    { mount: [A, memory, 'host-bind:/srv/b=/usr/share'] },
    { mount: ['host-bind:/=/usr/share', memory] },
    { root: '/usr', mount: [A, memory] },
    { home: '/usr/share', mount: [second] },
    { mount: [second], disk: ['file:a=/usr/disk'] },
  ];
  for (const options of all) assert.notEqual(await rulesFor(options), undefined, JSON.stringify(options));
  const kept = { overlay: { type: 'virtiofs', tag: 'overlay' } } as const;
  assert.notEqual(await rulesFor({ mount: [A, memory] }, kept), undefined);
});

test('in a container they are always looked for', async () => {
  const rules = await rulesFor({ mount: [memory] }, { platform: 'container' });
  assert.deepEqual(rules?.mounts.slice(0, 1), [{ target: '/dev' }]);
});
