/** virt-sandbox-service export and import, of services in containers. */
import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { removeServices, service } from '../helpers/making-services.js';
import { type RunResult, SERVICE_PROGRAM, startSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

/** It removes a file and a directory of the host, and makes files of others. */
const ONCE = `test -e /srv/ready || {
  printf '%032d\\n' 7 > /etc/machine-id.new && mv /etc/machine-id.new /etc/machine-id && rm -f /etc/hostname &&
    hostname > /etc/hostname && rm -f /etc/motd && rm -rf /etc/skel && mkdir /etc/skel &&
    echo own > /etc/skel/own && chown 1234:5678 /etc/skel/own && ln /etc/skel/own /srv/hard &&
    truncate -s 1M /srv/holes && touch /srv/ready; }
  while sleep 0.1; do date >> /srv/log; done`;

const LOOK = `cat /etc/machine-id /etc/hostname; test ! -e /etc/motd; ls -A /etc/skel
  stat -c '%U %u:%g %h' /srv/hard; stat -c %s /srv/holes`;

interface Made {
  readonly web: string;
  readonly other: string;
  readonly path: string;
  readonly archive: string;
}

async function done(args: readonly string[]): Promise<RunResult> {
  const result = await service(args, lxc.options);
  assert.equal(result.code, 0, result.stderr);
  return result;
}

async function inside(name: string, words: string): Promise<string> {
  return (await done(['execute', name, '--', 'sh', '-c', words])).out;
}

/** A service that runs and has written its files. */
async function running(t: TestContext): Promise<Made> {
  const path = scratchDirectory(t, WITH_ATTRIBUTES);
  const web = uniqueName();
  const other = `${web}-2`;
  t.after(() => removeServices([other, web], lxc.options));
  await done(['-c', lxc.uri, 'create', '-p', path, web, '--', '/bin/sh', '-c', ONCE]);
  await done(['start', web]);
  await inside(web, 'until test -e /srv/ready; do sleep 0.1; done');
  return { web, other, path, archive: join(path, 'web.tar') };
}

const GROWS = 'a=$(wc -l < /srv/log); until test $(wc -l < /srv/log) -gt $a; do sleep 0.1; done';

describe('a container that is exported', { skip: lxc.skip }, () => {
  for (const way of ['--live', '--stop'])
    it(`with ${way} runs elsewhere with the same files`, async (t) => {
      const { web, other, path, archive } = await running(t);
      const refused = await service(['export', '-o', archive, web], lxc.options);
      assert.deepEqual([refused.code, readdirSync(path)], [125, [web]], refused.stderr);
      await done(['export', way, '-o', archive, web]);
      assert.equal(statSync(archive).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(path).sort(), [web, 'web.tar'].sort());
      await inside(web, GROWS);
      const untrusted = await service(['import', '-p', path, archive, other], lxc.options);
      assert.equal(untrusted.code, 125);
      assert.match(untrusted.stderr, /it is a container, with the kernel of this host; import it with --trust/);
      const { out } = await done(['import', '--trust', '--json', '-p', path, archive, other]);
      assert.deepEqual(JSON.parse(out).changed, ['/etc/machine-id', '/etc/hostname']);
      await done(['start', other]);
      const [own, theirs] = [await inside(web, LOOK), await inside(other, LOOK)];
      const rest = 'own\nUNKNOWN 1234:5678 2\n1048576\n';
      assert.equal(own, `${'0'.repeat(31)}7\n${web}\n${rest}`);
      assert.match(theirs, new RegExp(`^(?!0{31}7)[0-9a-f]{32}\n${other}\n${rest}$`));
      await inside(other, GROWS);
    });

  it('goes on if the export is killed, or who reads it ends', async (t) => {
    const { web, path, archive } = await running(t);
    await inside(web, 'head -c 200M /dev/urandom > /srv/large');
    const exporting = startSandbox(['export', '--live', '-o', archive, web], {
      ...lxc.options,
      program: SERVICE_PROGRAM,
    });
    const size = () => readdirSync(path).find((name) => /^\.web\.tar\..*\.tmp$/.test(name));
    while (size() === undefined && exporting.child.exitCode === null) await new Promise((done) => setTimeout(done, 5));
    exporting.child.kill('SIGKILL');
    await exporting.result;
    await inside(web, GROWS);
    assert.ok(!readdirSync(path).includes('web.tar'));
    const cut = startSandbox(['export', '--live', web], { ...lxc.options, program: SERVICE_PROGRAM });
    cut.child.stdout?.destroy();
    await cut.result;
    await inside(web, GROWS);
    await done(['export', '--live', '-o', archive, web]);
  });

  it('is not written over what is no file', async (t) => {
    const { web, path } = await running(t);
    const fails = async (output: string, message: RegExp) => {
      const { code, stderr } = await service(['export', '--live', '-o', output, web], lxc.options);
      assert.equal(code, 125);
      assert.match(stderr, message);
    };
    await fails('/dev/null', /is there, and is no file/);
    await fails(path, /is there, and is no file/);
    await fails(join(path, 'none/web.tar'), /cannot be written.*ENOENT/);
    writeFileSync(join(path, 'old'), 'old', { mode: 0o644 });
    await done(['export', '--live', '-o', join(path, 'old'), web]);
    assert.equal(statSync(join(path, 'old')).mode & 0o777, 0o600);
  });
});
