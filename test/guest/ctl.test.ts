/** virt-sandbox-ctl: sandboxes that run, from another process, over every way to libvirt. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { embedded, lxc, system } from '../helpers/connections.js';
import {
  ctl,
  detached,
  endDetached,
  type How,
  opens,
  said,
  startCtl,
  startDetached,
  startWaiting,
} from '../helpers/ctl.js';
import { assertNothingLeft, uniqueName, type WhereLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun } from '../helpers/run.js';

/** A sandbox whose application counts SIGUSR1, writes to both streams, and takes its time to end. */
const APPLICATION =
  'trap "echo usr1" USR1; trap "until [ -e /tmp/end ]; do sleep 0.1; done; echo bye >&2; exit 7" TERM; echo out; echo err >&2; while :; do sleep 0.1; done';

/** The tests that every way passes. */
function itWorks(uri: string, how: () => How, where: () => WhereLeft, kind: 'machine' | 'container'): void {
  const name = uniqueName();
  before(async () => {
    await startDetached(uri, { name, options: ['-e', 'OF_SANDBOX=yes'], command: ['sh', '-c', APPLICATION] }, how());
  });
  after(() => endDetached(name, how()));
  const run = (...args: readonly string[]) => ctl(args, how());

  it('lists it', async () => {
    const lines = (await said(['ps', '--filter', `name=^${name}$`, '--no-trunc'], how())).split('\n');
    assert.match(lines[0] ?? '', /^NAME +COMMAND +CREATED +STATUS +KIND +CONNECTION$/);
    assert.match(lines[1] ?? '', new RegExp(`^${name} +sh -c trap .* ago +Up .* +${kind}( \\((kvm|tcg)\\))? +${uri}$`));
    assert.equal(lines.length, 3);
    assert.equal(await said(['ps', '-q', '-f', `name=^${name}$`], how()), `${name}\n`);
    const [listed] = JSON.parse(await said(['ps', '--format', 'json', '-f', `name=${name}`], how()));
    assert.deepEqual([listed.name, listed.status, listed.platform], [name, 'running', kind]);
  });

  it('runs commands in it', async () => {
    assertRun(await run('exec', name, 'sh', '-c', 'echo out; echo err >&2; exit 3'), 3, 'out\n', 'err\n');
    const found = 'echo $OF_SANDBOX $A "$B" $(pwd); cat';
    const words = ['exec', '-e', 'A=1', '--env=B=x  y', '-w', '/usr', name, 'sh', '-c', found];
    assertRun(await ctl(words, { ...how(), input: 'not read' }), 0, 'yes 1 x  y /usr\n');
    assertRun(await ctl(['exec', '-i', name, 'cat'], { ...how(), input: 'read' }), 0, 'read');
    assertRun(await run('exec', name, '--', 'sh', '-c', 'kill -9 $$'), 137, '');
    assertRun(await run('exec', '-u', 'nobody', name, 'id', '-un'), 0, 'nobody\n');
  });

  it('says what of it cannot be run', async () => {
    for (const [code, args, pattern] of [
      [127, [name, '/no/such'], /\/no\/such/],
      [126, [name, '/etc/passwd'], /\/etc\/passwd/],
      [125, ['-w', '/no/such', name, 'true'], /\/no\/such.*; give --workdir /],
      [125, ['-u', 'nobody-here', name, 'true'], /nobody-here/],
    ] as const) {
      const { code: status, out, stderr } = await run('exec', ...args);
      assert.deepEqual([status, out], [code, ''], stderr);
      assert.match(stderr, /^virt-sandbox-ctl: [a-z]+: [^;]+; .+\n$/);
      assert.match(stderr, pattern);
    }
  });

  it('ends what takes too long', async () => {
    assertRun(await run('exec', '--timeout', '500ms', name, 'sleep', '1000'), 124, '');
  });

  it('leaves a command running', async () => {
    const pid = (await said(['exec', '-d', name, 'sleep', '1000'], how())).trim();
    assert.equal(await said(['exec', name, 'cat', `/proc/${pid}/comm`], how()), 'sleep\n');
    assertRun(await run('exec', name, 'kill', pid), 0, '');
  });

  it('says all that is known of it, and what it uses', async () => {
    const [known, ...none] = JSON.parse(await said(['inspect', name], how()));
    assert.deepEqual(none, []);
    assert.deepEqual(
      [known.name, known.platform, known.connection, known.detached, known.command[0], known.environment.OF_SANDBOX],
      [name, kind, uri, true, 'sh', 'yes'],
    );
    // What has used less than a tick of the processor has used nothing.
    assert.equal(
      await said(['exec', name, 'sh', '-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'], how()),
      '',
    );
    const [used] = JSON.parse(await said(['stats', '--no-stream', '--format', 'json', name], how()));
    assert.equal(used.name, name);
    assert.ok(
      used.memoryBytes > 1e5 && used.holderBytes > 1e6 && used.processes >= 1 && used.cpuSeconds > 0,
      JSON.stringify(used),
    );
    assert.match(await said(['stats', '--no-stream', name], how()), new RegExp(`^NAME .*\n${name} +[\\d.]+% .*\n$`));
  });

  it('has its log', async () => {
    assertRun(await run('logs', name), 0, 'out\n', 'err\n');
    assertRun(await run('logs', '--since', '2099-01-01', name), 0, '');
    assertRun(await run('logs', '--tail', '0', name), 0, '');
    const { out, stderr } = await run('logs', '-t', '--since', '1h', '--tail', 'all', name);
    assert.match(out, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z out\n$/);
    assert.match(stderr, /^\S+Z err\n$/);
  });

  it('sends a signal, waits, and stops it', async () => {
    assert.equal(await said(['kill', '-s', 'USR1', name], how()), `${name}\n`);
    const waiting = await startWaiting(name, how());
    const following = startCtl(['logs', '-f', '--tail', '1', name], how());
    await opens(following.pid, /\/log$/);
    const stopping = ctl(['stop', '-t', '60', name], how());
    // With the file the sandbox ends, perhaps before it can be told that `touch` has.
    assert.match(await said(['exec', '-d', name, 'touch', '/tmp/end'], how()), /^\d+\n$/);
    assertRun(await stopping, 0, `${name}\n`);
    assertRun(await waiting.result, 0, '7\n');
    const { code, out, stderr } = await following.result;
    assert.deepEqual([code, `${out}${stderr}`.includes('bye')], [0, true]);
    await assertNothingLeft(name, where());
    const { code: gone, stderr: why } = await run('exec', name, 'true');
    assert.equal(gone, 125);
    assert.match(why, /no sandbox called/);
  });

  it('keeps one without a command, until it is killed', async (t) => {
    const other = await detached(t, uri, {}, how());
    const waiting = await startWaiting(other, how());
    assert.equal(await said(['exec', other, 'echo', 'lives'], how()), 'lives\n');
    assert.equal(await said(['kill', other], how()), `${other}\n`);
    assertRun(await waiting.result, 0, '0\n');
    await assertNothingLeft(other, where());
  });
}

for (const { uri, skip, where, options } of [embedded, system, lxc]) {
  describe(`over ${uri}`, { skip }, () =>
    itWorks(
      uri,
      () => options,
      () => where,
      uri === lxc.uri ? 'container' : 'machine',
    ),
  );
}

describe('over qemu:///session, as an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  itWorks(
    'qemu:///session',
    () => user.options,
    () => user.where,
    'machine',
  );

  it('stops all of a user, and no other', async (t) => {
    const others = await detached(t, embedded.uri);
    const own = [
      await detached(t, 'qemu:///session', {}, user.options),
      await detached(t, 'qemu:///session', {}, user.options),
    ];
    assert.deepEqual((await said(['ps', '-q'], user.options)).trim().split('\n').sort(), own.sort());
    assert.deepEqual((await said(['stop', '--all'], user.options)).trim().split('\n').sort(), own.sort());
    assert.equal(await said(['ps', '-q'], user.options), '');
    assert.equal(await said(['exec', others, 'echo', 'lives']), 'lives\n');
  });

  it("refuses another user's", async (t) => {
    const roots = await detached(t, embedded.uri);
    for (const words of [
      ['exec', roots, 'true'],
      ['stop', roots],
      ['kill', roots],
      ['inspect', roots],
      ['logs', roots],
    ]) {
      const { code, stderr } = await ctl(words, user.options);
      assert.equal(code, 125, stderr);
      assert.match(stderr, /is another user's|no sandbox called/);
    }
    assert.equal(await said(['exec', roots, 'echo', 'lives']), 'lives\n');
  });
  after(() => user?.end());
});
