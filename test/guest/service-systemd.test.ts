/** The systemd of this host as the application of a machine, with units of the tests. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectSandbox } from '../../src/control/connect.js';
import { unitStates } from '../../src/service/run/unit-states.js';
import { reloadUnits } from '../../src/service/run/units-active.js';
import type { SandboxError } from '../../src/util/errors.js';
import { embedded } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { logOf, said, startSystemd, unlessHostSystemd, untilActive, writeUnits } from '../helpers/systemd-sandbox.js';

const connect = embedded.uri;
const skip = embedded.skip || unlessHostSystemd;

const SLEEP = 'exec sleep infinity';

/** A service that is ready when it says so, by what systemd-notify is too slow for. */
const HELLO = `[Service]
ExecStart=/bin/sh -c 'echo hello $WHO; ${SLEEP}'
ExecReload=/bin/sh -c 'echo again >>/run/reloaded'
`;

const WALLED = `[Service]
Type=exec
ExecStart=/bin/sh -c 'touch /var/lib/walled-%i/mine /tmp/mine; echo instance %i; ${SLEEP}'
DynamicUser=yes
StateDirectory=walled-%i
PrivateTmp=yes
PrivateNetwork=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
SystemCallFilter=@system-service
MemoryMax=50M
`;

describe('systemd in a machine', { skip }, () => {
  it('starts the units that are named, and what they need, and nothing else', async (context) => {
    const directory = writeUnits(scratchDirectory(context), {
      'hello.service': HELLO,
      'other.service': HELLO,
      // Something wants it, and is not asked.
      'multi-user.target.wants/other.service': HELLO,
      'walled@.service': WALLED,
    });
    const name = uniqueName();
    const uuid = '3b0dc4f6-6b1f-4a0e-9d1c-0a4f9e7b2d11';
    const units = ['hello.service', 'walled@one.service'];
    const begun = performance.now();
    await using sandbox = await startSystemd(directory, units, {
      connect,
      name,
      uuid,
      environment: { WHO: 'a "b" %n' },
    });
    const log = logOf(sandbox);
    const states = await untilActive(sandbox, units);
    const active = performance.now() - begun;
    assert.deepEqual(
      states.map(({ unit, active, sub }) => [unit, active, sub]),
      units.map((unit) => [unit, 'active', 'running']),
    );
    const uptime = Number(await said(sandbox, 'systemctl show --value --property=FinishTimestampMonotonic')) / 1e6;
    const since = (active / 1000).toFixed(1);
    context.diagnostic(`units active ${since} s after the order, when the kernel had run ${uptime.toFixed(1)} s`);
    const services = await said(sandbox, 'systemctl list-units --type=service --plain --no-legend --no-pager');
    assert.deepEqual(
      services
        .split('\n')
        .map((line) => line.split(/ +/)[0])
        .filter((unit) => !unit?.startsWith('systemd-')),
      ['hello.service', 'walled@one.service'],
    );
    assert.equal(await said(sandbox, 'systemctl --failed --plain --no-legend'), '');
    assert.equal(await said(sandbox, 'systemctl is-system-running'), 'running');
    assert.equal(await said(sandbox, 'cat /etc/machine-id'), uuid.replaceAll('-', ''));
    assert.equal(await said(sandbox, 'until journalctl -q -o cat -u hello | grep hello; do :; done'), 'hello a "b" %n');
    assert.equal(
      await said(sandbox, 'until journalctl -q -o cat -u walled@one | grep inst; do :; done'),
      'instance one',
    );
    // A session has the processes of systemd alone, its control groups, and a terminal if it wants one.
    assert.equal(await said(sandbox, 'cat /proc/1/comm; pgrep -c kthreadd || :'), 'systemd\n0');
    assert.match(await said(sandbox, 'ls /sys/fs/cgroup'), /^init\.scope$/m);
    assert.match(await said(sandbox, 'cat /sys/fs/cgroup/system.slice/system-walled.slice/*/memory.max'), /^52428800$/);
    assert.equal(
      await said(sandbox, 'ls /tmp/mine 2>&1 || :; ls /var/lib/private/walled-one'),
      "ls: cannot access '/tmp/mine': No such file or directory\nmine",
    );
    const [first] = await unitStates(sandbox, ['hello.service']);
    assert.equal(await said(sandbox, `cat /proc/${first?.mainPid}/comm`), 'sleep');
    assert.ok(first?.since !== undefined && Math.abs(Date.now() - first.since.getTime()) < 120_000);
    await reloadUnits(sandbox, ['hello.service']);
    assert.equal(await said(sandbox, 'cat /run/reloaded'), 'again');
    await assert.rejects(reloadUnits(sandbox, ['walled@one.service']), { code: 'unit-not-reloaded' });
    await sandbox.kill('SIGTERM');
    assert.deepEqual(await sandbox.exited, { code: 0, signal: undefined, exitCode: 0, timedOut: false });
    assert.match(await log, /Received SIGRTMIN\+3[\s\S]*hello\.service: Deactivated successfully/);
    await assertNothingLeft(name, embedded.where);
  });

  it('a session has the directory, the user, the status and the signals of any other', async (context) => {
    const directory = writeUnits(scratchDirectory(context), { 'hello.service': HELLO });
    await using sandbox = await startSystemd(directory, ['hello.service'], { connect, environment: { A: 'b' } });
    assert.equal((await sandbox.run('exit 7')).exitCode, 7);
    assert.equal((await sandbox.run(['no-such-program'])).exitCode, 127);
    assert.equal(await said(sandbox, 'pwd; echo $A'), '/root\nb');
    const there = await sandbox.run('pwd', { cwd: '/usr/share' });
    assert.equal(there.stdout, '/usr/share\n');
    assert.equal((await sandbox.run('pwd', { cwd: '/no/such' })).exitCode, 126);
    const nobody = await sandbox.run('id -u; id -G; grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status', {
      user: 'nobody',
    });
    assert.equal(nobody.stdout, `65534\n65534\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n`);
    const patient = await sandbox.spawn('trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.1; done');
    const lines = patient[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'ready');
    await patient.kill('SIGTERM');
    assert.equal((await lines.next()).value, 'got it');
    assert.equal((await patient.exited).exitCode, 3);
    const terminal = await sandbox.spawn('tty; stty size', { tty: { rows: 31, columns: 77 } });
    let text = '';
    for await (const chunk of terminal.stdout) text += String(chunk);
    assert.match(text, /^\/dev\/pts\/\d+\r\n31 77\r\n$/);
    const files = await sandbox.files.read('/run/virt-sandbox/machine-id');
    assert.equal(String(files).trim(), await said(sandbox, 'cat /etc/machine-id'));
  });

  it('ends with the status of systemctl exit, and keeps journal and state in its overlay', async (context) => {
    const directory = writeUnits(scratchDirectory(context), { 'hello.service': HELLO });
    const path = join(scratchDirectory(context, WITH_ATTRIBUTES), 'overlay');
    const uuid = '3b0dc4f6-6b1f-4a0e-9d1c-0a4f9e7b2d12';
    const overlay = { type: 'directory', path } as const;
    for (const round of [1, 2]) {
      await using sandbox = await startSystemd(directory, ['hello.service'], {
        connect,
        uuid,
        overlay,
        environment: { WHO: 'you' },
      });
      sandbox.stdout.resume();
      await untilActive(sandbox, ['hello.service']);
      const boots = `until [ $(journalctl -q -o cat -u hello | grep -c 'hello you') = ${round} ]; do :; done; journalctl --flush`;
      await said(sandbox, boots);
      // Who says it may be gone before it hears the answer.
      await sandbox.run('systemctl exit 42').catch(() => {});
      assert.equal((await sandbox.exited).exitCode, 42);
    }
    const journals = join(path, 'layers/upper/var/log/journal');
    assert.deepEqual(readdirSync(journals), [uuid.replaceAll('-', '')]);
  });

  it('names a unit that fails, with the end of its journal', async (context) => {
    const directory = writeUnits(scratchDirectory(context), {
      'hello.service': HELLO,
      'bad.service': `[Service]\nType=notify\nExecStart=/bin/sh -c 'echo no port; exit 3'\n`,
      'flaps.service': `[Service]\nType=notify\nRestart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -c 'echo flapping; exit 4'\n`,
      'not.service': `[Unit]\nConditionPathExists=/no/such\n[Service]\nExecStart=/bin/true\n`,
      'once.service': `[Service]\nType=oneshot\nExecStart=/bin/true\n`,
      'ends.service': `[Service]\nExecStart=/bin/sh -c 'echo that was all'\n`,
    });
    const named = ['hello', 'bad', 'flaps', 'not', 'once', 'ends', 'gone'];
    const units = named.map((unit) => `${unit}.service`);
    await using sandbox = await startSystemd(directory, units, { connect });
    sandbox.stdout.resume();
    const codeOf = (unit: string) =>
      untilActive(sandbox, ['hello.service', unit]).then(
        () => 'active',
        ({ code, message, consoleTail }: SandboxError) => [`${code}: ${message}`, ...consoleTail].join('\n'),
      );
    assert.match(
      await codeOf('bad.service'),
      /^unit-failed: the unit bad\.service failed: exit-code, status 3[\s\S]*no port/,
    );
    assert.match(await codeOf('flaps.service'), /^unit-failed: the unit flaps\.service failed: [\s\S]*flapping/);
    assert.match(await codeOf('not.service'), /^unit-inactive: .*conditions/);
    assert.match(await codeOf('gone.service'), /^unit-not-loaded: .*not-found/);
    assert.equal(await codeOf('once.service'), 'active');
    // Only a command of the type oneshot is to end.
    await said(sandbox, 'while systemctl is-active -q ends; do sleep 0.1; done');
    assert.match(
      await codeOf('ends.service'),
      /^unit-inactive: the unit ends\.service is inactive \(dead\), and not active\n[\s\S]*that was all/,
    );
    // What has failed was not started again.
    assert.equal(await said(sandbox, "journalctl -q -o cat -u bad | grep -c '^no port'"), '1');
  });

  it('is stopped in order by who is connected to its holder', async (context) => {
    const stopping = "ExecStopPost=/bin/sh -c 'sleep 1; echo it was stopped >/dev/console'";
    const directory = writeUnits(scratchDirectory(context), {
      'hello.service': `[Service]\nExecStart=/bin/sh -c '${SLEEP}'\n${stopping}\n`,
    });
    const name = uniqueName();
    await using sandbox = await startSystemd(directory, ['hello.service'], { connect, name, control: true });
    const log = logOf(sandbox);
    await using connected = await connectSandbox(name);
    await untilActive(connected, ['hello.service']);
    assert.equal((await connected.run('cat /proc/1/comm')).stdout, 'systemd\n');
    await connected.stop({ timeout: 60_000 });
    assert.equal((await sandbox.exited).exitCode, 0);
    assert.match(await log, /it was stopped/);
  });

  it('is stopped in order before systemd takes signals', async (context) => {
    const directory = writeUnits(scratchDirectory(context), { 'hello.service': HELLO });
    await using sandbox = await startSystemd(directory, ['hello.service'], { connect });
    sandbox.stdout.resume();
    const isThere = () =>
      sandbox.files.read('/run/virt-sandbox/pid').then(
        (text) => text.length > 1,
        () => false,
      );
    while (!(await isThere()));
    await sandbox.kill('SIGTERM');
    assert.equal((await sandbox.exited).exitCode, 0);
  });
});
