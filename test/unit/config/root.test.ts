/** What --root may be, what is asked of an image, and what a program gives. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { configFromOptions } from '../../../src/config/options.js';
import {
  imageRoot,
  imageTexts,
  parseRoot,
  rootDirectoryOf,
  rootText,
  withImageTexts,
} from '../../../src/config/root.js';
import type { Root } from '../../../src/config/types.js';
import { parsePlatform } from '../../../src/oci-names/platform.js';
import { parseRootImage } from '../../../src/oci-names/root-image.js';
import { createdSandbox } from '../../../src/sandbox/prepare/create-options.js';
import { refuses, testUsers } from './support.js';

const DIGEST = `sha256:${'7'.repeat(64)}`;

const command = ['/bin/date'];

async function rootFrom(t: TestContext, options: Readonly<Record<string, unknown>>): Promise<Root> {
  return (await configFromOptions({ command, ...options }, await testUsers(t))).root;
}

describe('a root', () => {
  it('is a directory or an image', () => {
    assert.deepEqual(parseRoot('/srv/root', '--root'), { type: 'directory', path: '/srv/root' });
    assert.deepEqual(parseRoot('dir', '--root'), { type: 'directory', path: join(process.cwd(), 'dir') });
    for (const text of [
      'docker://docker.io/library/debian:13',
      'oci:/a dir:v1',
      'oci-archive:/a.tar',
      'docker-archive:/a.tar:name:13',
      'tar:/a.tar.gz',
      'virt-builder:///fedora-39',
      'virt-builder:///fedora-39?arch=aarch64',
    ]) {
      const root = parseRoot(text, '--root');
      assert.deepEqual(root, imageRoot(parseRootImage(text)));
      assert.equal(rootText(root), text);
      assert.throws(() => rootDirectoryOf({ root }));
    }
    assert.equal(rootText(parseRoot('oci:dir', '--root')), `oci:${join(process.cwd(), 'dir')}`);
    // Such directories can be named all the same.
    assert.equal(parseRoot('./oci:x', '--root').type, 'directory');
  });

  for (const [text, code] of [
    ['', 'path-empty'],
    ['tar:', 'reference-invalid'],
    ['oci:', 'reference-invalid'],
    ['oci:/a:', 'reference-invalid'],
    ['docker://', 'reference-invalid'],
    ['docker://UPPER', 'reference-invalid'],
    ['docker+http://host/name', 'reference-invalid'],
    ['docker://me:secret@host/name', 'password-in-reference'],
    ['docker://debian@sha256:1', 'digest-invalid'],
    ['virt-builder:///--x', 'reference-invalid'],
  ] as const)
    it(`is refused: ${JSON.stringify(text)}`, async () => {
      const stage = text === '' ? 'arguments' : 'image';
      await refuses(() => parseRoot(text, '--root'), stage, code);
    });

  it('of an image has what is asked of it', async (t) => {
    const texts = {
      ...{ pull: 'always', manifest: DIGEST, platform: 'linux/arm64/v8', authfile: '/auth', tlsVerify: 'false' },
      ...{ entrypoint: '/own', user: 'web:web', publishAll: true },
    };
    const root = await rootFrom(t, { root: 'docker://debian', ...texts });
    assert.deepEqual(root, {
      ...imageRoot(parseRootImage('docker://debian')),
      ...{ pull: 'always', manifest: DIGEST, platform: parsePlatform('arm64/v8'), authFile: '/auth', tlsVerify: false },
      ...{ entrypoint: '/own', user: 'web:web', publishAll: true },
    });
    assert.deepEqual(imageTexts(root), texts);
    assert.deepEqual(withImageTexts(parseRoot('docker://debian', '--root'), imageTexts(root)), root);
    const { user: _user, ...rest } = (await rootFrom(t, { root: 'docker://debian', user: '' })) as { user?: string };
    assert.equal(_user, undefined);
    assert.deepEqual({ ...rest, user: undefined }, imageRoot(parseRootImage('docker://debian')));
  });

  for (const [options, code, ...names] of [
    [{ user: 'web' }, 'root-not-image', '--user', '"/"'],
    [{ publishAll: true }, 'root-not-image', '--publish-all'],
    [{ root: '/srv', pull: 'never' }, 'root-not-image', '--pull', '"/srv"'],
    [{ root: 'docker://x', pull: 'often' }, 'pull-policy-unknown', '--pull', '"often"'],
    [{ root: 'docker://x', tlsVerify: 'no' }, 'tls-verify-unknown', '--tls-verify', '"no"'],
    [{ root: 'docker://x', authfile: '' }, 'path-empty', '--authfile'],
    [{ root: 'docker://x', switchto: 'root' }, 'switchto-with-image', '--switchto "root"'],
  ] as const)
    it(`is refused with ${JSON.stringify(options)}`, (t) =>
      refuses(() => rootFrom(t, options), 'arguments', code, ...names));

  for (const [options, code] of [
    [{ root: 'docker://x', hide: ['/etc'] }, 'hide-with-image'],
    [{ root: 'docker://x', rootFs: '9p' }, 'root-fs-with-image'],
    [{ root: 'tar:/x', rootFs: 'virtiofs' }, 'root-fs-with-image'],
    [{ root: 'docker://x', rootCache: 'never' }, 'root-cache-with-image'],
    [{ root: 'docker://x', mount: ['ram:/=5M'] }, 'root-image-mounted'],
    [{ root: 'docker://x', privileged: true, user: 'web' }, 'privileged-with-user'],
  ] as const)
    it(`of an image is refused with ${JSON.stringify(options)}`, (t) =>
      refuses(() => rootFrom(t, options), 'config', code));

  it('of a program is a path, a name, or an object', () => {
    const root = (value: unknown) =>
      createdSandbox({ root: value } as Parameters<typeof createdSandbox>[0]).sandbox.root;
    assert.deepEqual(root('/srv'), { type: 'directory', path: '/srv' });
    assert.deepEqual(root('docker://debian'), imageRoot(parseRootImage('docker://debian')));
    assert.deepEqual(
      root({ type: 'image', image: 'oci:/dir', platform: 'arm64', user: 'web', pull: 'never', manifest: DIGEST }),
      {
        ...imageRoot(parseRootImage('oci:/dir')),
        ...{ platform: parsePlatform('arm64'), user: 'web', pull: 'never', manifest: DIGEST },
      },
    );
  });

  for (const value of [
    7,
    { type: 'image' },
    { type: 'image', image: 7 },
    { type: 'image', image: 'docker://x', pull: 'often' },
    { type: 'image', image: 'docker://x', tlsVerify: 'no' },
    { type: 'image', image: 'docker://x', manifest: 'sha256:1' },
    { type: 'image', image: 'docker://x', stored: { path: '/etc/shadow' } },
    { type: 'image', image: 'docker://x', other: 1 },
    { ...imageRoot(parseRootImage('virt-builder:///a')), image: { transport: 'virt-builder', template: '--list' } },
    { type: 'directory' },
    { type: 'disk', path: '/x' },
  ])
    it(`of a program is refused: ${JSON.stringify(value)}`, () => {
      assert.throws(() => createdSandbox({ root: value } as unknown as Parameters<typeof createdSandbox>[0]), {
        name: 'SandboxError',
        message: /root/,
      });
    });
});
