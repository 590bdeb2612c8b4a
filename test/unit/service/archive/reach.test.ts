/** What the service of an archive would have of this host. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { imageRoot, parseRoot } from '../../../../src/config/root.js';
import type { Publish } from '../../../../src/config/types.js';
import { reachOf } from '../../../../src/service/archive/reach.js';
import { makeTestService, servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

function model(t: TestContext) {
  return makeTestService(servicesIn(scratchDirectory(t)), 'model');
}

const port = (address: string, hostPort: number): Publish => ({ protocol: 'tcp', address, hostPort, guestPort: 80 });

describe('reachOf', { skip: unlessRoot('its model has its state in a directory') }, () => {
  it('is nothing for a service of root, and all files for one of a user', async (t) => {
    const service = await model(t);
    assert.deepEqual(reachOf(service, 'system'), []);
    assert.deepEqual(reachOf(service, 'user'), ['it reads the files that you may read']);
  });

  it('names ports that others reach, or that are for root alone', async (t) => {
    const { config, settings } = await model(t);
    const publish = ['127.0.0.1', '::1'].flatMap((address) => [0, 1, 1023, 1024].map((one) => port(address, one)));
    const listens = (scope: 'system' | 'user') =>
      reachOf({ config: { ...config, publish }, settings }, scope).filter((one) => one.startsWith('it listens'));
    const low = ['127.0.0.1:1', '127.0.0.1:1023', '::1:1', '::1:1023'].map((at) => `it listens at ${at}`);
    assert.deepEqual(listens('system'), low);
    assert.equal(listens('user').length, publish.length);
  });

  it('names all that a root of an image is asked with', async (t) => {
    const { config, settings } = await model(t);
    const parsed = parseRoot('docker://example.org/a', '--root');
    assert.ok(parsed.type === 'image');
    const root = { ...imageRoot(parsed.image), authFile: '/root/auth.json', tlsVerify: false, publishAll: true };
    const said = reachOf({ config: { ...config, root }, settings }, 'system').join('; ');
    for (const part of [/example\.org\/a/, /"\/root\/auth\.json"/, /nobody vouches/, /each port/])
      assert.match(said, part);
  });

  it('names the type of its files', async (t) => {
    const { config, settings } = await model(t);
    const said = reachOf({ config, settings: { ...settings, filetype: 'shadow_t' } }, 'system');
    assert.deepEqual(said, ['its files have the type "shadow_t"']);
  });
});
