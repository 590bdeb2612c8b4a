/** Where the root of an OCI image comes from: registries, archives of others' tools, a bare tar archive. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { copyFacts } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { busyboxImage, layoutWith, unlessImages } from '../helpers/oci/busybox.js';
import { startDebianRegistry, unlessDebianRegistry } from '../helpers/oci/debian-registry.js';
import { startRegistry } from '../helpers/oci/registry.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';

/** bcrypt of `secret`. */
const HTPASSWD = 'me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

const ground = mkdtempSync('/var/tmp/virt-sandbox-oci-ways-');
chmodSync(ground, 0o755);
after(() => rmSync(ground, { recursive: true, force: true }));

const image = busyboxImage({ Cmd: ['sh', '-c', 'id -u; cat /etc/hostname | wc -l'], User: 'web' });
const SAYS = '1234\n1\n';

/** An environment with a store of its own, and no passwords. */
function fresh(): { readonly env: NodeJS.ProcessEnv } {
  const home = mkdtempSync(join(ground, 'home-'));
  // QEMU has a user of its own.
  chmodSync(home, 0o755);
  // It is not to find out first whether KVM runs a guest, which may take a minute.
  copyFacts(join(home, 'cache/virt-sandbox'));
  return { env: { HOME: home, XDG_CACHE_HOME: join(home, 'cache'), REGISTRY_AUTH_FILE: undefined } };
}

function run(root: string, options: { readonly env: NodeJS.ProcessEnv }, ...more: readonly string[]) {
  return runSandbox(['-c', embedded.uri, '--root', root, ...more], options);
}

describe('an image of an archive', { skip: embedded.skip || unlessImages() || unlessProgram('skopeo') }, () => {
  const layout = layoutWith(join(ground, 'layout'), image);

  for (const kind of ['docker-archive', 'oci-archive'])
    it(`that skopeo has made, ${kind}, runs`, async () => {
      const path = join(ground, `${kind}.tar`);
      execFileSync('skopeo', ['copy', '--insecure-policy', layout, `${kind}:${path}:test/image:v1`], { stdio: 'pipe' });
      assertRun(await run(`${kind}:${path}`, fresh()), 0, SAYS);
      const refused = await run(`${kind}:${path}:test/image:v2`, fresh());
      assertFailure(refused, / image: .* has no image 'test\/image:v2'; it has '(docker\.io\/)?test\/image:v1'; /);
    });

  it('is a root without a config', async () => {
    const [layer] = image.layers;
    const tar = execFileSync('gunzip', [], { input: layer?.bytes, maxBuffer: 1 << 28 });
    for (const [name, bytes] of [
      ['plain.tar', tar],
      ['packed.tar.gz', gzipSync(tar)],
    ] as const) {
      const path = join(ground, name);
      writeFileSync(path, bytes);
      assertRun(await run(`tar:${path}`, fresh(), '--', '/bin/id', '-un'), 0, 'root\n');
    }
  });
});

describe('an image that is not there', { skip: embedded.skip || unlessImages() }, () => {
  const options = fresh();
  const other = join(ground, 'other');
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, 'text'), 'no archive\n'.repeat(100));
  for (const [root, pattern] of [
    [`oci:${ground}/none`, / there is no '.*\/none'; see that its name is right$/],
    [`oci:${other}`, / has no OCI image: it has no index\.json; /],
    [`oci:${other}/text`, / has no OCI image: it has no index\.json; /],
    [`oci-archive:${other}/text`, / '.*text' is no tar archive.*; /],
    [`docker-archive:${other}/none`, / there is no '.*\/none'; see that its name is right$/],
    [`tar:${other}/text`, / tar:.*text is no tar archive, or is damaged; /],
    [`tar:${other}`, / is no regular file; name the file of an image$/],
    ['tar:', / 'tar:' names no file; write tar:FILE$/],
    ['oci:', / 'oci:' names no directory; write oci:DIR, or oci:DIR:TAG$/],
    ['docker-archive:', / 'docker-archive:' names no file; write docker-archive:FILE, or docker-archive:FILE:NAME$/],
    ['docker://localhost:1/x', / localhost:1 cannot be reached \(ECONNREFUSED\); /],
    ['docker://debian:13 ', / names no image: .*; write \[HOST/],
  ] as const)
    it(`is said to be missing: ${root.replace(ground, '')}`, async () => {
      assertFailure(await run(root, options, '--', 'true'), pattern);
    });

  for (const [words, pattern] of [
    [['--pull', 'sometimes'], / arguments: --pull cannot be "sometimes"; give missing, always, never$/],
    [['--tls-verify', 'no'], / arguments: --tls-verify cannot be "no"; give true or false$/],
    [['--platform', 'a b'], / image: 'a b' is no platform; write linux\/amd64/],
    [['--switchto', 'root'], / arguments: --switchto "root" .*; write --user root/],
    [['--pull', 'never'], / image: 'docker:\/\/docker\.io\/library\/debian:13' is not in the store for linux\/amd64; /],
  ] as const)
    it(`says what is wrong with ${words.join(' ')}`, async () => {
      assertFailure(await run('docker://debian:13', options, ...words, '--', 'true'), pattern);
    });

  it('is needed by what is about images', async () => {
    for (const words of [['--pull', 'always'], ['--user', 'web'], ['--publish-all'], ['--entrypoint', 'x']])
      assertFailure(
        await runSandbox(['-c', embedded.uri, ...words, '--', 'true']),
        / arguments: --[a-z-]+ is for the root of an OCI image, and the root is the directory "\/"; name an image/,
      );
  });
});

describe("an image of Debian's registry", {
  skip: embedded.skip || unlessImages() || unlessDebianRegistry(),
}, () => {
  it('is pulled once, and again if that is wished', async (context) => {
    const registry = await startDebianRegistry(context);
    await registry.push('test/image', 'v1', image);
    const options = fresh();
    const root = `docker://${registry.host}/test/image:v1`;
    assertFailure(await run(root, options, '--pull', 'never'), / image: .* is not in the store for linux\/amd64; /);
    assertRun(await run(root, options), 0, SAYS);
    const other = busyboxImage({ Cmd: ['echo', 'other'] });
    await registry.push('test/image', 'v1', other);
    assertRun(await run(root, options), 0, SAYS);
    assertRun(await run(root, options, '--pull', 'always'), 0, 'other\n');
    assertRun(await run(root, options, '--pull', 'never'), 0, 'other\n');
    assertRun(await run(`docker://${registry.host}/test/image@${image.manifest.digest}`, options), 0, SAYS);
    assertFailure(
      await run(`docker://${registry.host}/test/image:v2`, options),
      / image: .*v2.*; see that name and tag/,
    );
  });

  it('is given to who has the password', async (context) => {
    const registry = await startDebianRegistry(context, { htpasswd: HTPASSWD });
    await registry.push('test/image', 'v1', image);
    const options = fresh();
    const root = `docker://${registry.host}/test/image:v1`;
    assertFailure(await run(root, options), / image: .*(denied|password|login).*; /);
    const authFile = join(ground, 'auth.json');
    const auth = Buffer.from('me:secret').toString('base64');
    writeFileSync(authFile, JSON.stringify({ auths: { [registry.host]: { auth } } }), { mode: 0o600 });
    assertRun(await run(root, options, '--authfile', authFile), 0, SAYS);
    assertFailure(
      await run(root, options, '--pull', 'always', '--authfile', join(ground, 'no.json')),
      / image: .*no\.json.*; /,
    );
  });
});

describe('an image of a registry with TLS', {
  skip: embedded.skip || unlessImages() || unlessProgram('openssl'),
}, () => {
  it('needs a certificate that is trusted, or --tls-verify=false', async (context) => {
    const [key, cert] = [join(ground, 'key'), join(ground, 'cert')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const ec = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync('openssl', [...ec, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
    const files = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
    const registry = await startRegistry(context, files);
    registry.add(image, 'v1');
    const root = `docker://${registry.host}/test/image:v1`;
    assertFailure(await run(root, fresh()), / image: .*not trusted.*--tls-verify=false/);
    assertRun(await run(root, fresh(), '--tls-verify', 'false'), 0, SAYS);
    // What it sends is checked by digests all the same.
    registry.hook(({ path }, response) => {
      if (!path.includes('/blobs/')) return false;
      response.end('x');
      return true;
    });
    assertFailure(await run(root, fresh(), '--tls-verify', 'false'), / image: .*; /);
  });
});
