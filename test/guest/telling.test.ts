/** What virt-sandbox prints: help, the domain's XML, a dry run, its choices, and every step of the init. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { mounted } from '../helpers/hide.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, REPOSITORY, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { privateStore } from '../helpers/snapshots.js';

/** Short and long names of the options that the manual promises. */
const OPTIONS = [
  ...['-c, --connect', '-n, --name', '-r, --root', '-e, --env', '-p, --privileged', '-S, --switchto', '-v, --verbose'],
  ...['-d, --debug', '-h, --help', '-V, --version', '--kernver', '--kernpath', '--kmodpath', '--memory', '--vcpus'],
  ...['--accel', '--cwd', '--boot-timeout', '--print-xml', '--dry-run', '--json'],
];

describe('help', () => {
  for (const word of ['-h', '--help']) {
    it(`${word} names every option on stdout`, async () => {
      const { code, out, stderr } = await runSandbox([word]);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      for (const option of OPTIONS) assert.ok(out.includes(option), `${option} is in the help`);
      assert.ok(Math.max(...out.split('\n').map((line) => line.length)) <= 120);
    });
  }

  for (const word of ['-V', '--version']) {
    it(`${word} prints the version of the package`, async () => {
      const { version } = JSON.parse(readFileSync(`${REPOSITORY}package.json`, 'utf8')) as { version: string };
      assertRun(await runSandbox([word]), 0, `virt-sandbox version ${version}\n`);
    });
  }

  it('leaves the options of the command alone', async () => {
    const { code, out } = await runSandbox(['-c', 'xen:///', 'ls', '--help']);
    assert.deepEqual({ code, out }, { code: 125, out: '' });
  });
});

for (const way of [embedded, system]) {
  describe(`without starting anything, over ${way.uri}`, { skip: way.skip }, () => {
    const name = uniqueName();

    it('--print-xml is a domain that libvirt’s own schema accepts', async (t) => {
      if (!existsSync('/usr/bin/virt-xml-validate')) return t.skip('virt-xml-validate is not installed');
      const args = ['-c', way.uri, '-n', name, '--memory', '300', '--vcpus', '2', '--print-xml', '--', 'secret-word'];
      const { code, out, stderr } = await runSandbox(args);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      const file = join(scratchDirectory(t), 'domain.xml');
      writeFileSync(file, out);
      execFileSync('virt-xml-validate', [file, 'domain'], { stdio: 'pipe' });
      assert.match(out, new RegExp(`<name>${name}</name>`));
      assert.match(out, /<memory unit="KiB">307200<\/memory>/);
      assert.match(out, /<vcpu[^>]*>2<\/vcpu>/);
      assert.match(out, /<readonly\/>|<source socket=/);
      assert.doesNotMatch(out, /secret-word/);
      await assertNothingLeft(name, way.where);
    });

    it('--dry-run finds the image', async () => {
      const { code, out, stderr } = await runSandbox(['-c', way.uri, '--dry-run', '--', 'true']);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      assert.match(out, new RegExp(`^uri: ${way.uri}$`, 'm'));
      const kernel = /^kernel: (.*)$/m.exec(out)?.[1] ?? '';
      assert.ok(existsSync(kernel), kernel);
    });
  });
}

describe('--dry-run', { skip: embedded.skip }, () => {
  it('builds an image where there is none, and finds it again', async (t) => {
    const { env, remove } = privateStore();
    t.after(remove);
    const dryRun = async () => {
      const { code, out, stderr } = await runSandbox(['-c', embedded.uri, '--dry-run', '--json', '--', 'true'], {
        env,
      });
      assert.equal(code, 0, stderr);
      return JSON.parse(out) as Record<string, unknown>;
    };
    const { built, ...first } = await dryRun();
    assert.equal(built, true);
    assert.deepEqual(await dryRun(), { ...first, built: false });
    assert.ok(String(first['image']).startsWith(env.XDG_CACHE_HOME));
    for (const file of ['kernel', 'initrd']) assert.ok(existsSync(String(first[file])));
    assert.equal(first['uri'], embedded.uri);
    assert.match(String(first['acceleration']), /^(kvm|tcg)$/);
  });
});

describe('output on stderr', { skip: embedded.skip, concurrency: 2 }, () => {
  const run = (args: readonly string[], env = {}) =>
    runSandbox(['-c', embedded.uri, ...args, '--', 'echo', 'output'], { env });

  it('is empty by default', async () => assertRun(await run([]), 0, 'output\n'));

  it('-v: the choices and their reasons', async () => {
    const { code, out, stderr } = await run(['-v']);
    assert.deepEqual({ code, out }, { code: 0, out: 'output\n' });
    assert.match(stderr, /^virt-sandbox: kernel: kernel \S+ from \S+, /m);
    for (const line of stderr.trimEnd().split('\n')) assert.match(line, /^virt-sandbox: /);
  });

  it('-d: also the steps, with times', async () => {
    const { code, out, stderr } = await run(['-d']);
    assert.deepEqual({ code, out }, { code: 0, out: 'output\n' });
    assert.match(stderr, /^virt-sandbox: \[\d+\.\d{3}\] /m);
  });

  it('LIBVIRT_SANDBOX_INIT_DEBUG: kernel messages and every step of the init with its time', async () => {
    const { code, out, stderr } = await run(['--root-fs', '9p'], { LIBVIRT_SANDBOX_INIT_DEBUG: '1' });
    assert.deepEqual({ code, out }, { code: 0, out: 'output\n' });
    assert.match(stderr, /\[ +\d+\.\d+\] Linux version /);
    for (const step of ['clock', 'root', 'system', 'network']) {
      assert.match(stderr, new RegExp(`virt-sandbox: \\[[\\d.]+\\] ${step}: .*µs`), step);
    }
    assert.match(stderr, /module 9p: /);
    assert.match(stderr, /init: .*\d/);
  });

  it('LIBVIRT_DEFAULT_URI counts like -c, and -c wins', async () => {
    const wrong = { LIBVIRT_DEFAULT_URI: 'xen:///system' };
    const { code, stderr } = await runSandbox(['--', 'true'], { env: wrong });
    assert.equal(code, 125);
    assert.match(stderr, /xen:\/\/\/system/);
    assertRun(await run([], wrong), 0, 'output\n');
  });

  it('libvirt.conf counts too, and -v names it as the source', async () => {
    const through = (uri: string) =>
      mounted(`mount -t tmpfs none /etc/libvirt; echo 'uri_default = "${uri}"' > /etc/libvirt/libvirt.conf`);
    const found = await runSandbox(['-v', '--dry-run', '--json', '--', 'true'], { through: through('qemu:///embed') });
    assert.equal(found.code, 0, found.stderr);
    assert.equal(JSON.parse(found.out).uri, 'qemu:///embed');
    const told = 'libvirt: qemu:///embed, because of uri_default in /etc/libvirt/libvirt.conf\n';
    assert.ok(found.stderr.includes(told), found.stderr);
    const wrong = await runSandbox(['--', 'true'], { through: through('xen:///system') });
    assertFailure(wrong, /xen:\/\/\/system \(uri_default in \/etc\/libvirt\/libvirt.conf\) is not supported/);
    const passedOver = await runSandbox(['-c', 'qemu:///embed', '--dry-run', '--', 'true'], {
      through: through('xen:///system'),
    });
    assert.equal(passedOver.code, 0, passedOver.stderr);
  });
});
