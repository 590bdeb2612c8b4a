/** What of a state becomes the clone's own. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { giveIdentity, type StateFiles } from '../../../../src/service/clone/identity.js';

const uuid = 'ABCDEF01-2345-4678-9abc-def012345678';
const ID = 'abcdef0123454678' + '9abcdef012345678\n';
const OLD = `${'1'.repeat(32)}\n`;

class Memory implements StateFiles {
  readonly files: Map<string, string>;

  constructor(files: Record<string, string>) {
    this.files = new Map(Object.entries(files));
  }

  async read(path: string): Promise<Buffer | undefined> {
    const found = this.files.get(path);
    return found === undefined ? undefined : Buffer.from(found);
  }

  async replace(path: string, content: string | Buffer): Promise<void> {
    assert.ok(this.files.has(path), path);
    this.files.set(path, content.toString('latin1'));
  }
}

async function give(files: Record<string, string>, newHostKeys = false) {
  const state = new Memory(files);
  const hostKey = async (type: string) => ({ secret: Buffer.from(`secret ${type}`), shared: Buffer.from(type) });
  const changed = await giveIdentity(state, {
    sourceName: 'web',
    name: 'web2',
    uuid,
    hostKey: newHostKeys ? hostKey : undefined,
  });
  return { changed, files: Object.fromEntries(state.files) };
}

describe('giveIdentity', () => {
  it('changes the machine ID to that of the machine, also in the copy of D-Bus', async () => {
    const { files } = await give({ '/etc/machine-id': OLD, '/var/lib/dbus/machine-id': OLD });
    assert.deepEqual(files, { '/etc/machine-id': ID, '/var/lib/dbus/machine-id': ID });
  });

  it('leaves a machine ID that is made at the first start, and what the state does not have', async () => {
    assert.deepEqual((await give({ '/etc/machine-id': 'uninitialized\n' })).changed, []);
    assert.deepEqual((await give({ '/etc/machine-id': '' })).changed, []);
    assert.deepEqual((await give({})).changed, []);
  });

  it('changes a host name that is the name of the source, and no other', async () => {
    assert.equal((await give({ '/etc/hostname': 'web\n' })).files['/etc/hostname'], 'web2\n');
    assert.equal((await give({ '/etc/hostname': 'web.example.org\n' })).files['/etc/hostname'], 'web.example.org\n');
  });

  it('makes another seed of the same length', async () => {
    const { files } = await give({ '/var/lib/systemd/random-seed': 's'.repeat(512) });
    assert.equal(files['/var/lib/systemd/random-seed']?.length, 512);
    assert.notEqual(files['/var/lib/systemd/random-seed'], 's'.repeat(512));
  });

  it('makes host keys on request, of the kinds that there are', async () => {
    const key = '/etc/ssh/ssh_host_ed25519_key';
    const keys = { [key]: 'old', [`${key}.pub`]: 'old', '/etc/ssh/ssh_host_rsa_key': 'old' };
    assert.deepEqual((await give(keys)).files, keys);
    const { files, changed } = await give(keys, true);
    assert.deepEqual(files, {
      [key]: 'secret ed25519',
      [`${key}.pub`]: 'ed25519',
      '/etc/ssh/ssh_host_rsa_key': 'secret rsa',
    });
    assert.deepEqual(changed, ['/etc/ssh/ssh_host_rsa_key', key]);
  });
});
