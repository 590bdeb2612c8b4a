/** Registries with TLS, and without where it is wanted. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { mayCarrySecrets, schemesFor } from '../../../../src/oci/registry/hosts.js';
import { logIn } from '../../../../src/oci/registry/login.js';
import { openRegistry } from '../../../../src/oci/registry/registry.js';
import { parseReference } from '../../../../src/oci-names/reference.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testImage } from '../../../helpers/oci/image.js';
import { IMPATIENT, imageIn, startRegistry } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const image = testImage([tarOf({ name: 'file' })]);

/** A registry with TLS, and the file of its certificate, which nobody has signed but itself. */
async function withTls(context: TestContext) {
  const directory = scratchDirectory(context);
  const [key, cert] = [join(directory, 'key'), join(directory, 'cert')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:reg.example'];
  const files = ['-nodes', '-keyout', key, '-out', cert, '-days', '2'];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', ...files, ...subject],
    {
      stdio: 'ignore',
    },
  );
  const registry = await startRegistry(context, { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') });
  registry.add(image, 'v1');
  const ask = async (options: { tlsVerify?: boolean; environment?: NodeJS.ProcessEnv }) => {
    const environment = { HOME: directory, ...options.environment };
    const source = openRegistry(parseReference(imageIn(registry, 'v1')), {
      patience: IMPATIENT,
      ...options,
      environment,
    });
    context.after(() => source.close());
    return source.document(undefined);
  };
  return { registry, cert, ask };
}

describe('a registry with TLS', () => {
  it('must have a certificate that is trusted', async (context) => {
    const { ask } = await withTls(context);
    await rejectsWith(ask({}), 'registry-certificate', /not trusted.*certs\.d.*--tls-verify=false/);
  });

  it('is taken as it is with tlsVerify false', async (context) => {
    const { ask } = await withTls(context);
    assert.equal((await ask({ tlsVerify: false })).digest, image.manifest.digest);
  });

  it('is logged in to as registries.conf says', async (context) => {
    const { registry, cert } = await withTls(context);
    const directory = join(cert, '..');
    const conf = join(directory, 'registries.conf');
    const environment = { HOME: directory, XDG_RUNTIME_DIR: directory, CONTAINERS_REGISTRIES_CONF: conf };
    const login = () => logIn(registry.host, { user: 'me', password: 'x' }, { patience: IMPATIENT, environment });
    writeFileSync(conf, '');
    await rejectsWith(login(), 'registry-certificate');
    writeFileSync(conf, `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`);
    assert.equal((await login()).isTried, false);
  });

  it('may have a certificate that the host trusts', async (context) => {
    const { ask, cert } = await withTls(context);
    assert.equal((await ask({ environment: { SSL_CERT_FILE: cert } })).digest, image.manifest.digest);
  });
});

describe('a proxy', () => {
  /** A proxy that leads every connection to one server of this host. */
  async function startProxy(context: TestContext, to: string) {
    const wanted: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket) => {
      wanted.push(request.url ?? '');
      const through = connect(Number(to.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        through.pipe(socket).pipe(through);
      });
      for (const end of [socket, through]) end.on('error', () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    context.after(() => void proxy.close());
    return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, wanted };
  }

  it('is gone through to registries elsewhere, and not to those of this host', async (context) => {
    const { registry, cert, ask } = await withTls(context);
    const { url, wanted } = await startProxy(context, registry.host);
    const environment = { HOME: scratchDirectory(context), SSL_CERT_FILE: cert, HTTPS_PROXY: url, HTTP_PROXY: url };
    await ask({ environment });
    assert.deepEqual(wanted, []);
    const elsewhere = openRegistry(parseReference('reg.example/test/image:v1'), { environment, patience: IMPATIENT });
    context.after(() => elsewhere.close());
    assert.equal((await elsewhere.document(undefined)).digest, image.manifest.digest);
    assert.deepEqual(wanted, ['reg.example:443']);
    const past = { ...environment, NO_PROXY: 'reg.example' };
    const direct = openRegistry(parseReference('reg.example/test/image:v1'), {
      environment: past,
      patience: IMPATIENT,
    });
    context.after(() => direct.close());
    await rejectsWith(direct.document(undefined), 'registry-unreachable');
    assert.equal(wanted.length, 1);
  });

  it('of HTTP is none of HTTPS', async (context) => {
    const { registry, cert } = await withTls(context);
    const { url, wanted } = await startProxy(context, registry.host);
    const environment = { HOME: scratchDirectory(context), SSL_CERT_FILE: cert, http_proxy: url };
    const source = openRegistry(parseReference('reg.example/test/image:v1'), { environment, patience: IMPATIENT });
    context.after(() => source.close());
    // There is no such host.
    await rejectsWith(source.document(undefined), 'registry-unreachable', /reg\.example cannot be reached/);
    assert.deepEqual(wanted, []);
  });

  it('that refuses is named', async (context) => {
    const proxy = createServer();
    proxy.on('connect', (_request, socket) => void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    context.after(() => void proxy.close());
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const environment = { HOME: scratchDirectory(context), https_proxy: url };
    const source = openRegistry(parseReference('reg.example/test/image:v1'), { environment, patience: IMPATIENT });
    context.after(() => source.close());
    const pattern = /the proxy of this host makes no connection to reg\.example \(it answers 403\); see https_proxy/;
    await rejectsWith(source.document(undefined), 'registry-unreachable', pattern);
  });
});

describe('a registry without TLS', () => {
  it('is one of this host, or the user says so', () => {
    for (const host of ['localhost', 'localhost:5000', '127.0.0.1:1', '127.9.9.9', '[::1]:5000', 'a.localhost'])
      assert.deepEqual(schemesFor(host, true), ['http:', 'https:'], host);
    for (const host of ['127.0.0.1.example.org', 'localhost.example', '10.0.0.1', 'docker.io', '1270.0.0.1', '[::2]'])
      assert.deepEqual(schemesFor(host, true), ['https:'], host);
    assert.deepEqual(schemesFor('10.0.0.1:5000', false), ['https:', 'http:']);
  });

  it('gets no password, unless it is of this host or the user says so', () => {
    const may = (url: string, verify: boolean) => mayCarrySecrets(new URL(url), 'reg.example:80', verify);
    assert.ok(may('https://auth.example/', true));
    assert.ok(may('http://localhost:1/', true));
    assert.ok(!may('http://auth.example/', true));
    assert.ok(!may('http://auth.example/', false));
    assert.ok(!may('http://reg.example/', true));
  });
});
