/** What a clone is: its source as data, with identities of its own. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { type CloneTexts, describeClone } from '../../../../src/service/clone/describe.js';
import { DEFAULT_SETTINGS, type Service, type ServiceSettings } from '../../../../src/service/types.js';

const STATE = '/var/lib/libvirt/filesystems/web';
const base: SandboxConfig = {
  ...defaultConfig({ uid: 0, gid: 0, username: 'root', home: '/root', groups: [] }),
  name: 'web',
  uuid: '11111111-1111-4111-8111-111111111111',
  command: ['/usr/sbin/web', '--conf=/etc/web/web.conf', 'web'],
  overlay: { type: 'directory', path: STATE },
  service: { type: 'generic' },
};

function serviceOf(changes: Partial<SandboxConfig> = {}, settings: Partial<ServiceSettings> = {}): Service {
  const config = '/etc/s/web/config';
  const paths = { directory: '/etc/s/web', config, file: `${config}/sandbox.cfg`, life: '/var/s/web' };
  return { name: 'web', paths, config: { ...base, ...changes }, settings: { ...DEFAULT_SETTINGS, ...settings } };
}

function cloneOf(changes: Partial<SandboxConfig> = {}, texts: CloneTexts = {}) {
  return describeClone(serviceOf(changes), 'web2', texts);
}

const network = { dhcp: false, source: 'default', mac: undefined, addresses: [], routes: [], filter: undefined };
const address = { primary: '192.0.2.7', prefix: 24, broadcast: undefined };

describe('describeClone', () => {
  it('gives another name, UUID and state, and leaves the command alone', () => {
    const { config, name, uuid, state } = cloneOf();
    assert.deepEqual({ name, state }, { name: 'web2', state: { type: 'directory', path: `${STATE}2` } });
    assert.equal(config.name, 'web2');
    assert.equal(config.uuid, uuid);
    assert.notEqual(uuid, base.uuid);
    assert.deepEqual(config.overlay, state);
    assert.deepEqual(config.command, base.command);
  });

  it('keeps what a service has beside its sandbox', () => {
    const settings = { ...DEFAULT_SETTINGS, restart: 'always', health: 'curl web', copied: ['/etc/shadow'] } as const;
    assert.deepEqual(describeClone(serviceOf({}, settings), 'web2', {}).settings, settings);
  });

  it('keeps the state of an image beside that of the source, or where --path says', () => {
    const overlay = { type: 'image', path: '/srv/states/web.qcow2' } as const;
    assert.deepEqual(cloneOf({ overlay }).state, { type: 'image', path: '/srv/states/web2.qcow2' });
    assert.deepEqual(cloneOf({ overlay }, { path: '/mnt/b' }).state, { type: 'image', path: '/mnt/b/web2.qcow2' });
  });

  it('maps paths below the state, and none that only looks like one', () => {
    const mount = (source: string, target: string) =>
      ({ type: 'host-bind', source, target, readOnly: true, includes: [] }) as const;
    const { config } = cloneOf({
      mounts: [mount(`${STATE}/data`, '/a'), mount(`${STATE}-old/data`, '/b'), mount('/srv/web', '/c')],
      home: { type: 'directory', path: `${STATE}/home` },
    });
    assert.deepEqual(
      config.mounts.map((one) => 'source' in one && one.source),
      [`${STATE}2/data`, `${STATE}-old/data`, '/srv/web'],
    );
    assert.deepEqual(config.home, { type: 'directory', path: `${STATE}2/home` });
  });

  it('gives every network another hardware address, where the source has one', () => {
    const mac = '52:54:00:11:22:33';
    const { config } = cloneOf({
      networks: [
        { ...network, dhcp: true, mac },
        { ...network, dhcp: true },
      ],
    });
    const [first, second] = config.networks;
    assert.match(first?.mac ?? '', /^52:54:00(:[0-9a-f]{2}){3}$/);
    assert.notEqual(first?.mac, mac);
    assert.equal(second?.mac, undefined);
  });

  it('refuses an address that two would have, unless there is another network', () => {
    const networks = [{ ...network, addresses: [address] }];
    assert.throws(() => cloneOf({ networks }), { code: 'service-address-taken', message: /192\.0\.2\.7/ });
    const other = cloneOf({ networks }, { network: ['dhcp,source=default'] });
    assert.equal(other.config.networks[0]?.dhcp, true);
    assert.deepEqual(cloneOf({ networks }, { network: ['none'] }).config.networks, []);
    // It is the sandbox's alone.
    const user = [{ ...network, source: undefined, addresses: [address] }];
    assert.deepEqual(cloneOf({ networks: user }).config.networks, user);
  });

  it('takes ports and a label in place of those of the source', () => {
    const publish = [{ protocol: 'tcp', address: '127.0.0.1', hostPort: 8080, guestPort: 80 }] as const;
    assert.equal(cloneOf({ publish }).choosesPorts, true);
    const wanted = cloneOf({ publish }, { publish: ['9090:90'], security: 'static,label=a:b:c:s0:c1,c2' });
    assert.equal(wanted.choosesPorts, false);
    assert.deepEqual(wanted.config.publish, [{ ...publish[0], hostPort: 9090, guestPort: 90 }]);
    assert.deepEqual(wanted.config.security, { mode: 'static', label: 'a:b:c:s0:c1,c2' });
  });

  it('says what the two share', () => {
    const mounts = [
      { type: 'host-bind', source: '/srv/shared', target: '/shared', readOnly: false, includes: [] },
      { type: 'host-bind', source: '/srv/read', target: '/read', readOnly: true, includes: [] },
    ] as const;
    const disks = [{ type: 'file', tag: 'd', source: '/srv/d.img', format: 'raw', readOnly: false }] as const;
    const { notes } = cloneOf({ mounts, disks, security: { mode: 'static', label: 'l' } });
    assert.equal(notes.length, 3);
    assert.match(notes[0] ?? '', /web and web2 both write to \/srv\/shared/);
    assert.match(notes[1] ?? '', /\/srv\/d\.img, so only one/);
    assert.match(notes[2] ?? '', /the label l/);
  });

  it('refuses a service that does not say where its state is', () => {
    assert.throws(() => cloneOf({ overlay: undefined }), { code: 'service-state-unknown' });
    assert.throws(() => cloneOf({ overlay: { type: 'memory' } }), { code: 'service-state-unknown' });
  });
});
