/** virt-sandbox-service clone, of services in machines that run and have written files. */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system, type Way } from '../helpers/connections.js';
import { said } from '../helpers/ctl.js';
import { unlessProgram } from '../helpers/images.js';
import { leftAtLast, uniqueName } from '../helpers/leftovers.js';
import { removeServices, service } from '../helpers/making-services.js';
import { buildMapper } from '../helpers/map-file.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { programOf } from '../helpers/programs.js';
import { runSandbox, SERVICE_PROGRAM, startSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { SERVICES } from '../helpers/services.js';

/** It writes what it has to, tells its name, and goes on writing. */
const COMMAND = `mkdir -p /etc/ssh && printf '%032d\\n' 7 > /etc/machine-id && hostname > /etc/hostname &&
  echo of the host > /etc/ssh/ssh_host_ed25519_key && head -c 32 /dev/urandom > /var/lib/systemd/random-seed &&
  echo "$(hostname)" > /srv/writer && sync && touch /srv/ready; while sleep 0.1; do date >> /srv/log; done`;
/** Written once: what a clone does at its own start must not hide what it has. */
const ONCE = `test -e /srv/ready || { ${COMMAND}; }; while sleep 1; do :; done`;

interface Made {
  readonly web: string;
  readonly clone: string;
  /** Where their states are. */
  readonly path: string;
}

/** A service that runs and has written its files. */
async function running(t: TestContext, { uri }: Way, options: readonly string[]): Promise<Made> {
  const path = scratchDirectory(t, WITH_ATTRIBUTES);
  const web = uniqueName();
  const clone = `${web}-2`;
  t.after(() => removeServices([clone, web]));
  await done(['create', '-c', uri, '-p', path, ...ACCEL, ...options, web, '--', '/bin/sh', '-c', ONCE]);
  await start(web, uri);
  return { web, clone, path };
}

async function done(args: readonly string[]): Promise<string> {
  const { code, out, stderr } = await service(args);
  assert.equal(code, 0, stderr);
  return out;
}

async function start(name: string, uri: string): Promise<void> {
  const file = join(SERVICES, name, 'config/sandbox.cfg');
  const { code, stderr } = await runSandbox(['--config', file, '-c', uri, '--detach']);
  assert.equal(code, 0, stderr);
  const ready = 'until test -e /srv/ready; do sleep 0.1; done';
  assert.equal(await inside(name, ready), '');
}

async function inside(name: string, words: string): Promise<string> {
  return said(['exec', name, '--', 'sh', '-c', words]);
}

const LOOK = 'cat /etc/machine-id /etc/hostname /srv/writer /etc/ssh/ssh_host_ed25519_key; hostname';

/** Both run, each with what is its own. */
async function assertApart({ web, clone }: Made, uri: string): Promise<void> {
  const before = await inside(web, `sha256sum /var/lib/systemd/random-seed; ${LOOK}`);
  await start(clone, uri);
  const after = await inside(clone, `sha256sum /var/lib/systemd/random-seed; ${LOOK}`);
  const [own = [], other = []] = [before, after].map((text) => text.split('\n'));
  const [seed, id, ...rest] = own;
  assert.deepEqual([id, ...rest], [`${'0'.repeat(31)}7`, web, web, 'of the host', web, '']);
  const [otherSeed, otherId, ...others] = other;
  assert.deepEqual(others, [clone, web, 'of the host', clone, '']);
  assert.match(otherId ?? '', /^[0-9a-f]{32}$/);
  assert.notEqual(otherId, id);
  assert.notEqual(otherSeed, seed);
  await inside(clone, 'echo changed > /srv/writer; sync');
  assert.equal(await inside(web, 'cat /srv/writer'), `${web}\n`);
  assert.equal(await inside(web, LOOK), `${own.slice(1).join('\n')}`);
}

/** Writes something. @returns how that process is: D waits for the kernel, Z has ended */
const WRITE = `(echo held > /srv/held) </dev/null >/dev/null 2>&1 & pid=$!
  until state=$(cut -d ' ' -f 3 /proc/$pid/stat); test "$state" = D || test "$state" = Z; do sleep 0.1; done; echo $state`;

/** Kills the process of the init that a host has started, as its holder does when that host is gone. */
const KILL_BUILTIN = `found=
for stat in /proc/[0-9]*/stat; do
  { read -r pid comm _ ppid _ <$stat; } 2>/dev/null || continue
  test "$comm $ppid" != '(init) 1' || found="$found $pid"
done
kill -9 $found && echo killed $found | wc -w`;

/**
 * A clone, or what holds the source still for it, is killed when that has frozen the file system of the source, before
 * nothing runs there any more.
 */
async function killFrozen({ web, clone }: Made, who: 'clone' | 'builtin'): Promise<void> {
  const NODE_OPTIONS = `${process.env['NODE_OPTIONS'] ?? ''} --import=${pathToFileURL(programOf('stop-before-pause'))}`;
  await inside(web, 'rm -f /srv/held');
  const cloning = startSandbox(['clone', '--live', web, clone], { program: SERVICE_PROGRAM, env: { NODE_OPTIONS } });
  const comm = `/proc/${cloning.pid}/comm`;
  const hasWritten = async () =>
    assert.equal(await inside(web, 'until test -s /srv/held; do sleep 0.1; done; cat /srv/held'), 'held\n');
  try {
    await holdsDuring(cloning.result, () => readFileSync(comm, 'latin1') === 'frozen\n');
    assert.equal(await inside(web, WRITE), 'D\n');
    if (who === 'builtin') {
      assert.equal(await inside(web, KILL_BUILTIN), '2\n');
      await hasWritten();
    }
  } finally {
    cloning.child.kill('SIGKILL');
    await cloning.result;
  }
  await hasWritten();
}

const STATES = [
  { what: 'a directory', options: [] },
  { what: 'an image', options: ['-i', '300'] },
];
const TOOLS = unlessProgram('qemu-img', 'mke2fs', 'ssh-keygen', 'gcc');

for (const { what, options } of STATES)
  describe(`a clone of a machine with its state in ${what}`, { skip: embedded.skip || TOOLS }, () => {
    it('has all that was written, is made while the source stands still, and both run side by side', async (t) => {
      const made = await running(t, embedded, options);
      const refused = await service(['clone', made.web, made.clone]);
      assert.equal(refused.code, 125);
      assert.match(refused.stderr, /runs, .*--stop.*--live/);
      // Nothing writes these out but the clone: the kernel does for itself after half a minute.
      const mapper = buildMapper(scratchDirectory(t, WITH_ATTRIBUTES));
      await inside(made.web, `echo late > /srv/late; ${mapper} /srv/mapped mapped </dev/null >/dev/null 2>&1`);
      const { source, changed, standstillMs } = JSON.parse(
        await done(['clone', '--live', '--json', made.web, made.clone]),
      );
      assert.equal(source, made.web);
      assert.deepEqual(changed, ['/etc/machine-id', '/etc/hostname', '/var/lib/systemd/random-seed']);
      t.diagnostic(`it stood still for ${standstillMs} ms`);
      // It goes on writing.
      await inside(made.web, 'a=$(wc -l < /srv/log); until test $(wc -l < /srv/log) -gt $a; do sleep 0.1; done');
      await assertApart(made, embedded.uri);
      assert.equal(await inside(made.clone, 'cat /srv/late /srv/mapped'), 'late\nmapped');
    });

    it('has a source that goes on if the clone, or what holds it still, is killed meanwhile', async (t) => {
      const made = await running(t, embedded, options);
      const { web, clone, path } = made;
      // A directory of the host cannot be frozen.
      if (options.length > 0) for (const who of ['clone', 'builtin'] as const) await killFrozen(made, who);
      await inside(web, 'head -c 40M /dev/urandom > /srv/large && sync');
      const cloning = startSandbox(['clone', '--live', web, clone], { program: SERVICE_PROGRAM });
      const isOther = (name: string) => !name.startsWith(`${web}.`) && name !== web;
      const hasBegun = () =>
        readdirSync(path).some(
          (name) => isOther(name) && (options.length > 0 || readdirSync(join(path, name)).length > 0),
        );
      await holdsDuring(cloning.result, hasBegun);
      cloning.child.kill('SIGKILL');
      await cloning.result;
      assert.equal(await inside(web, 'echo again > /srv/again && sync && cat /srv/again'), 'again\n');
      const { code, stderr } = await service(['clone', '--live', web, clone]);
      assert.equal(code, 0, stderr);
      const names = options.length > 0 ? [`${web}.qcow2`, `${clone}.qcow2`] : [web, clone];
      assert.deepEqual(readdirSync(path).sort(), names.sort());
    });
  });

describe('a clone whose machine runs', { skip: embedded.skip || TOOLS }, () => {
  it('leaves neither the machine nor an image if it is killed, and has no limits of a unit', async (t) => {
    const path = scratchDirectory(t, WITH_ATTRIBUTES);
    const web = uniqueName();
    const clone = `${web}-2`;
    t.after(() => removeServices([clone, web]));
    await done(['create', '-c', embedded.uri, '-p', path, ...ACCEL, '-i', '200', web, '--', '/bin/sleep', '9']);
    // The unit of the service has them, and its machine none.
    appendFileSync(join(SERVICES, web, 'config/sandbox.cfg'), '[tuning]\nmemorylimit=1073741824\ncpuquota=50000\n');
    const cloning = startSandbox(['clone', web, clone], { program: SERVICE_PROGRAM });
    const drafts = () => readdirSync(path).filter((name) => name.startsWith('.') && isImageInUse(join(path, name)));
    await holdsDuring(cloning.result, () => drafts().length > 0);
    cloning.child.kill('SIGKILL');
    await cloning.result;
    assert.deepEqual(await leftAtLast(drafts), []);
    await done(['clone', web, clone]);
    assert.deepEqual(readdirSync(path).sort(), [`${clone}.qcow2`, `${web}.qcow2`].sort());
  });
});

describe('a clone of a source that is stopped for it', { skip: embedded.skip || TOOLS }, () => {
  it('lets it run again, and makes host keys', async (t) => {
    const made = await running(t, embedded, ['-i', '300', '--publish', '127.0.0.1:0:80']);
    const { changed, publish } = JSON.parse(
      await done(['clone', '--stop', '--new-host-keys', '--json', made.web, made.clone]),
    );
    assert.ok(changed.includes('/etc/ssh/ssh_host_ed25519_key'), String(changed));
    assert.deepEqual(publish, ['127.0.0.1:0:80']);
    assert.equal(await inside(made.web, 'cat /etc/ssh/ssh_host_ed25519_key'), 'of the host\n');
    await start(made.clone, embedded.uri);
    const keys = await inside(made.clone, 'cat /etc/ssh/ssh_host_ed25519_key; ls /srv');
    assert.match(keys, /^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
    assert.match(keys, /^writer$/m);
  });
});

describe('a clone over a daemon', { skip: system.skip || TOOLS }, () => {
  it('has the ports that it is given, and is no clone of one that is there', async (t) => {
    const made = await running(t, system, []);
    await done(['clone', '--live', '--publish', '0:81', made.web, made.clone]);
    const again = await service(['clone', '--live', made.web, made.clone]);
    assert.match(again.stderr, /there is a service/);
    const file = readFileSync(join(SERVICES, made.clone, 'config/sandbox.cfg'), 'utf8');
    assert.match(file, /^port\.0=127\.0\.0\.1:0:81$/m);
    assert.match(file, new RegExp(`^name=${made.clone}$`, 'm'));
    await assertApart(made, system.uri);
  });
});
