/** Boot images in registries with a password, and signed by cosign. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { findInPath } from '../../src/util/programs.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { embedded } from '../helpers/connections.js';
import { assertBakeFailure, emptyStore, type Pulled, type Pushed, unusedReference } from '../helpers/fleet.js';
import { type DebianRegistry, startDebianRegistry, unlessDebianRegistry } from '../helpers/oci/debian-registry.js';
import { startRegistryProxy } from '../helpers/oci/registry-proxy.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { type Baked, copySnapshot, privateStore } from '../helpers/snapshots.js';

/** bcrypt of `secret`. */
const HTPASSWD = 'me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

describe('a boot image', { skip: embedded.skip || unlessDebianRegistry() }, () => {
  const from = privateStore();
  const cache = from.env.XDG_CACHE_HOME;
  const endings: (() => unknown)[] = [];
  const context = { after: (end?: unknown) => void endings.unshift(end as () => unknown) };
  let baked: Baked;
  let registry: DebianRegistry;
  let pushed: Pushed;
  before(async () => {
    baked = await copySnapshot(['-c', embedded.uri], from.env);
    registry = await startDebianRegistry(context);
    pushed = await bakeJson<Pushed>(cache, ['push', basename(baked.image), `${registry.host}/boot/web:1`]);
  });
  after(async () => {
    for (const end of endings) await end();
    from.remove();
  });

  it('needs the password, and has it of --authfile', async (t) => {
    const closed = await startDebianRegistry(t, { htpasswd: HTPASSWD });
    const reference = `${closed.host}/boot/web:1`;
    const store = emptyStore(t);
    const home = scratchDirectory(t);
    const options = {
      env: { HOME: home, XDG_RUNTIME_DIR: home, XDG_CONFIG_HOME: home, REGISTRY_AUTH_FILE: undefined },
    };
    const denied = await runBake(cache, ['push', pushed.id, reference], options);
    assertBakeFailure(denied, /may not be written without|wants|password|log in/i);
    const authfile = join(home, 'auth.json');
    const auth = Buffer.from('me:secret').toString('base64');
    writeFileSync(authfile, JSON.stringify({ auths: { [closed.host]: { auth } } }));
    const sent = await bakeJson<Pushed>(cache, ['push', pushed.id, reference, '--authfile', authfile], options);
    assert.equal(sent.digest, pushed.digest);
    assertBakeFailure(await runBake(store, ['pull', reference], options));
    assert.equal((await bakeJson<Pulled>(store, ['pull', reference, '--authfile', authfile], options)).fresh, true);
  });

  describe('signed with cosign', { skip: findInPath('cosign') === undefined && 'cosign is not installed' }, () => {
    const ofKey = { COSIGN_PASSWORD: 'x' };
    let keys: string;
    before(() => {
      keys = scratchDirectory(context);
      execFileSync('cosign', ['generate-key-pair'], { cwd: keys, env: { ...process.env, ...ofKey }, stdio: 'ignore' });
    });
    const verify = (reference: string) =>
      execFileSync('cosign', ['verify', '--key', join(keys, 'cosign.pub'), '--insecure-ignore-tlog', reference], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const push = (reference: string, env: Record<string, string>, ...more: string[]) =>
      runBake(cache, ['push', pushed.id, reference, '--sign', '--sign-key', join(keys, 'cosign.key'), ...more], {
        env,
      });

    it('is verified by cosign, and pulled by the digest that it names', async (t) => {
      const { reference } = unusedReference(t, registry);
      const result = await push(reference, ofKey);
      assert.equal(result.code, 0, result.stderr);
      assert.match(result.out, /^signed: yes$/m);
      const [{ critical }] = JSON.parse(verify(reference)) as [
        { critical: { image: Record<'docker-manifest-digest', string> } },
      ];
      assert.equal(critical.image['docker-manifest-digest'], pushed.digest);
      assert.throws(() => verify(`${registry.host}/boot/web:1`));
    });

    it('has no tag if it could not be signed', async (t) => {
      const { reference, isThere } = unusedReference(t, registry);
      const result = await push(reference, { COSIGN_PASSWORD: 'y' });
      assertBakeFailure(result, /cosign does not sign \S+@sha256:\S+: .*; set COSIGN_PASSWORD/);
      assert.ok(!(await isThere()));
    });

    it('has the password of --authfile', async (t) => {
      const closed = await startDebianRegistry(t, { htpasswd: HTPASSWD });
      const home = scratchDirectory(t);
      const authfile = join(home, 'auth.json');
      const auth = Buffer.from('me:secret').toString('base64');
      writeFileSync(authfile, JSON.stringify({ auths: { [closed.host]: { auth } } }));
      const result = await push(`${closed.host}/boot/web:1`, { ...ofKey, HOME: home }, '--authfile', authfile);
      assert.equal(result.code, 0, result.stderr);
      const tags = await fetch(`http://${closed.host}/v2/boot/web/tags/list`, {
        headers: { authorization: `Basic ${auth}` },
      });
      assert.match(await tags.text(), new RegExp(`sha256-${pushed.digest.slice(7)}\\.sig`));
    });

    it('is refused before anything is sent if the key is not there', async (t) => {
      const { reference } = unusedReference(t, registry);
      const proxy = await startRegistryProxy(t, registry.host);
      const words = ['push', pushed.id, reference.replace(registry.host, proxy.host), '--sign', '--sign-key', 'none'];
      assertBakeFailure(await runBake(cache, words), /the key '\S+\/none' is not there \(ENOENT\); make one with/);
      assert.deepEqual(proxy.requests, []);
    });

    it('is signed where registries.conf has it put', async (t) => {
      const home = scratchDirectory(t);
      mkdirSync(join(home, 'containers'));
      const conf = `[[registry]]\nprefix = "boot.example"\nlocation = "${registry.host}/boot"\n`;
      writeFileSync(join(home, 'containers/registries.conf'), conf);
      const result = await push('boot.example/elsewhere:1', { ...ofKey, HOME: home, XDG_CONFIG_HOME: home });
      assert.equal(result.code, 0, result.stderr);
      verify(`${registry.host}/boot/elsewhere:1`);
    });

    it('is refused before anything is sent where cosign is not installed', async (t) => {
      const { reference } = unusedReference(t, registry);
      const proxy = await startRegistryProxy(t, registry.host);
      const bin = scratchDirectory(t);
      for (const name of ['node', 'sh', 'env', 'readlink', 'dirname', 'basename'])
        symlinkSync(findInPath(name) ?? assert.fail(name), join(bin, name));
      assert.ok(readlinkSync(join(bin, 'node')));
      const result = await push(reference.replace(registry.host, proxy.host), { ...ofKey, PATH: bin });
      assertBakeFailure(result, /cosign is not installed, and --sign needs it; install it/);
      assert.deepEqual(proxy.requests, []);
    });
  });
});
