/** What an image and its user describe together. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import { imageRoot } from '../../../../src/config/root.js';
import type { ImageRoot, SandboxConfig } from '../../../../src/config/types.js';
import { validateConfig } from '../../../../src/config/validate.js';
import type { ImageConfig } from '../../../../src/oci/image-config.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { applyImage, type CommandUse } from '../../../../src/sandbox/image-root/apply-image.js';
import { throwsWith } from '../../../helpers/errors.js';

const CONFIG: ImageConfig = {
  platform: parsePlatform('amd64'),
  created: undefined,
  entrypoint: ['/entry'],
  command: ['word'],
  environment: ['A=of=image', 'EMPTY', 'PATH=/bin'],
  user: 'web',
  workingDirectory: '/work',
  stopSignal: 'SIGQUIT',
  volumes: [],
  exposedPorts: ['80/tcp', '53/UDP', '80', '8000-8002', '9/sctp'],
  labels: {},
  diffIds: [],
  history: [],
};
const USERS = {
  passwd: 'root:x:0:0::/root:/bin/sh\nweb:x:33:34::/var/www:\nodd:x:5:5::relative:\n',
  group: 'web:x:34:',
};
const STORED = { id: 'ab'.repeat(32), path: '/store/root.erofs', mode: 0o755, uid: 0, gid: 0 };
const CALLER = { uid: 1000, gid: 1000, groups: [1000, 27], username: 'ada', home: '/home/ada' };

function applied(
  changes: Partial<SandboxConfig> = {},
  {
    root = {},
    config = {},
    use = 'needed',
  }: { root?: Partial<ImageRoot>; config?: Partial<ImageConfig>; use?: CommandUse } = {},
): SandboxConfig {
  const asked = { ...imageRoot(parseRootImage('docker://test')), ...root };
  const sandbox: SandboxConfig = { ...defaultConfig(CALLER), root: asked, command: [], ...changes };
  const facts = { name: 'image x', config: { ...CONFIG, ...config }, users: USERS, stored: STORED };
  return validateConfig(applyImage(sandbox, asked, facts, use), use !== 'needed');
}

describe('an image', () => {
  it('becomes the root, under an overlay in memory', () => {
    const { root, mounts, overlay } = applied();
    assert.deepEqual(root.type === 'image' && root.stored, { ...STORED, stopSignal: 3 });
    assert.deepEqual(overlay, { type: 'memory' });
    assert.deepEqual(mounts, [
      { type: 'host-image', target: '/', source: STORED.path, format: 'raw', readOnly: true, includes: [] },
    ]);
    const kept = applied({ overlay: { type: 'image', path: '/kept' } });
    assert.deepEqual(kept.overlay, { type: 'image', path: '/kept' });
  });

  it('says what runs, as whom, and where', () => {
    const { command, identity, cwd, environment } = applied();
    assert.deepEqual(command, ['/entry', 'word']);
    assert.deepEqual(identity, { uid: 33, gid: 34, groups: [], username: 'web', home: '/var/www' });
    assert.equal(cwd, '/work');
    assert.deepEqual(environment, [
      { key: 'A', value: 'of=image' },
      { key: 'EMPTY', value: '' },
      { key: 'PATH', value: '/bin' },
    ]);
  });

  it('has less to say than its user', () => {
    const environment = [{ key: 'A', value: 'given' }];
    const said = applied(
      { command: ['x', 'y'], cwd: '/tmp', environment },
      { root: { user: '0', entrypoint: '/own' } },
    );
    assert.deepEqual(said.command, ['/own', 'x', 'y']);
    assert.deepEqual([said.identity.uid, said.identity.home, said.cwd], [0, '/root', '/tmp']);
    // Of two the last one counts.
    assert.deepEqual(said.environment.at(-1), environment[0]);
    assert.equal(said.environment.length, 4);
  });

  it('runs as root with all capabilities', () => {
    assert.equal(applied({ privileged: true }).identity.uid, 0);
    throwsWith(() => applied({ privileged: true }, { root: { user: 'web' } }), 'privileged-with-user', /--user web/);
  });

  it('may lack what it could say', () => {
    const bare = { user: '', workingDirectory: '', environment: [], exposedPorts: [], stopSignal: undefined };
    const { identity, cwd, root } = applied({}, { config: bare });
    assert.deepEqual([identity.uid, identity.username, identity.home, cwd], [0, 'root', '/root', '/']);
    assert.equal(root.type === 'image' && root.stored?.stopSignal, undefined);
    const unknown = applied({}, { config: { user: '77' } }).identity;
    assert.deepEqual([unknown.username, unknown.home], ['77', '/']);
    assert.equal(applied({}, { config: { user: 'odd' } }).identity.home, '/');
  });

  it('needs a command only where one is run', () => {
    const config = { entrypoint: [], command: [] };
    throwsWith(() => applied({}, { config }), 'command-missing', /image x names no command; name one behind --/);
    assert.deepEqual(applied({}, { config, use: 'optional' }).command, []);
    assert.deepEqual(applied({}, { use: 'optional' }).command, ['/entry', 'word']);
    assert.deepEqual(applied({ command: ['x'] }, { use: 'none' }).command, []);
  });
});

describe('ports that an image exposes', () => {
  const ports = (changes: Partial<SandboxConfig> = {}, exposedPorts = CONFIG.exposedPorts) =>
    applied({ networks: [], ...changes }, { root: { publishAll: true }, config: { exposedPorts } }).publish.map(
      ({ protocol, guestPort, hostPort, address }) => `${address} ${hostPort} ${guestPort}/${protocol}`,
    );

  it('are published if that is wished, each once', () => {
    assert.deepEqual(applied().publish, []);
    const free = [80, 8000, 8001, 8002].map((port) => `127.0.0.1 0 ${port}/tcp`);
    assert.deepEqual(ports(), [free[0], '127.0.0.1 0 53/udp', ...free.slice(1)]);
  });

  it('are left to what the user has published', () => {
    const publish = [{ protocol: 'tcp', address: '0.0.0.0', hostPort: 8080, guestPort: 80 }] as const;
    assert.equal(ports({ publish })[0], '0.0.0.0 8080 80/tcp');
    assert.equal(ports({ publish }).filter((text) => text.endsWith(' 80/tcp')).length, 1);
  });

  it('are not endless', () => {
    assert.equal(ports({}, ['1-256']).length, 256);
    throwsWith(() => ports({}, ['1-65535', '1-65535/udp']), 'too-many-ports', /"image x" exposes more than 256 ports/);
  });
});
