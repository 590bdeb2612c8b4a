/** The life of services, the same in machines and in containers. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { valueOr } from '../../src/util/errors.js';
import type { Way } from './connections.js';
import { ctl } from './ctl.js';
import { assertNothingLeft, exceptLogs, leftAtLast, processesWith } from './leftovers.js';
import { AtTerminal } from './pty.js';
import { runSandbox, SERVICE_PROGRAM } from './run.js';
import { LIVES, SERVICES, serviceOf } from './services.js';

const STAYS = 'echo here; echo there >&2; exec sleep 1000';

/** Counts its starts in a file that is kept, ends badly twice, and then stays. */
const ENDS_TWICE = `
n=$(cat /var/starts 2>/dev/null || echo 0)
echo $((n + 1)) >/var/starts
echo "start $n"
[ $n -ge 2 ] || exit 7
exec sleep 1000`;

const lives = (pid: number | undefined) => pid !== undefined && existsSync(`/proc/${pid}`);

/** The user that a service runs as, by number; of /etc/passwd of this host. */
function userOf(uid: number): { name: string; gid: number; home: string } {
  const entries = readFileSync('/etc/passwd', 'utf8').split('\n');
  const [name = '', , , gid, , home = ''] =
    entries.map((line) => line.split(':')).find((entry) => Number(entry[2]) === uid) ?? [];
  return { name, gid: Number(gid), home };
}

/** Defines the tests. */
export function itLivesAsAService(way: Way): void {
  const platform = way.uri.startsWith('lxc') ? 'container' : 'machine';

  it('starts, runs what it is told, is stopped, and starts again with its state', async (t) => {
    // A machine has the memory that it is given, and its limit is of QEMU.
    const options = platform === 'container' ? ['--memory-limit', '100M'] : [];
    const service = await serviceOf(t, way, { options, script: STAYS, isKept: true });
    const listed = async () => {
      const given = { ...way.options, program: SERVICE_PROGRAM };
      const { code, out } = await runSandbox(['list', '--running', '--json'], given);
      assert.equal(code, 0);
      const all = JSON.parse(out) as { name: string; state: string }[];
      return all.filter(({ name }) => name === service.name).map(({ state }) => state);
    };
    assert.deepEqual(await listed(), []);
    assert.match((await service.run(['status'])).out, /^test-[0-9a-f]+: stopped, never started\n$/);
    await service.fails(['logs'], /never started/);
    await service.fails(['execute'], /does not run/, ['--', 'true']);
    assert.equal(await service.ok(['start']), '');
    await service.fails(['start'], /already runs/);
    const { state, pid, sandbox, memory, restarts } = await service.status();
    assert.deepEqual([state, sandbox?.platform, restarts], ['running', platform, 0]);
    assert.ok(lives(pid) && (memory?.memoryBytes ?? 0) > 1 << 18 && (memory?.holderBytes ?? 0) > 1 << 18);
    assert.deepEqual(await listed(), ['running']);
    assert.equal(
      await service.inside('echo kept >/var/kept; id -u; echo $A; pwd', '-e', 'A=b', '-w', '/usr'),
      '0\nb\n/usr\n',
    );
    assert.equal(await service.inside('id -u', '--user', 'nobody', '-N'), '65534\n');
    const longNames = ['--env', 'A=c', '--workdir', '/etc', '--interactive', '--noseclabel'];
    assert.equal(await service.inside('echo $A; pwd', ...longNames), 'c\n/etc\n');
    assert.match(await service.inside('test -t 1 && tty', '--tty'), /^\/dev\/pts\/\d+\r\n$/);
    await service.fails(['execute', '-w', '/no/such'], /\/no\/such.*give --workdir a directory/, ['--', 'true']);
    const failed = await service.run(['execute'], ['--', 'sh', '-c', 'cat; exit 9'], { input: 'given' });
    assert.deepEqual([failed.code, failed.out], [9, 'given']);
    const connected = await service.run(['connect', '--user', 'nobody'], [], { input: 'id -u; pwd; exit 6\n' });
    assert.deepEqual([connected.code, connected.out, connected.stderr], [6, '65534\n/\n', '']);
    // Of a line without an end, tail keeps all.
    const hungry = 'head -c 200000000 /dev/zero | tail -n 1 >/dev/null; echo $?';
    if (platform === 'container') {
      const { out } = await service.run(['execute'], ['--', 'sh', '-c', hungry]);
      assert.equal(out, '137\n');
    }
    await service.fails(['reload'], /restart/);
    await service.untilLog('here\n');
    assert.equal(await service.ok(['stop', '--time', '60']), '');
    assert.deepEqual(await listed(), []);
    assert.equal(await service.ok(['stop']), '');
    // A stop is over when nobody holds the service; its process ends a moment later.
    assert.deepEqual(await leftAtLast(() => (lives(pid) ? [`process ${pid}`] : [])), []);
    await assertNothingLeft(service.name, { ...way.where, state: '/run/libvirt-sandbox' });
    const { code, out } = await service.run(['status']);
    assert.equal(code, 3);
    assert.match(out, /: stopped since .*\n {2}last end .*: stopped, ended by SIGTERM\n$/);
    assert.equal(await service.log(), 'here\n');
    await service.ok(['restart']);
    assert.equal(await service.inside('cat /var/kept'), 'kept\n');
    // The log goes on.
    await service.untilLog('here\nhere\n');
    const both = await service.run(['logs', '--tail', '2']);
    assert.equal(`${both.out}${both.stderr}`.split('\n').length, 3);
    assert.match(await service.log('--timestamps', '--since', '1h'), /^(20\d\d-\d\d-\d\dT[\d:.]+Z here\n){2}$/);
    await service.ok(['delete']);
    assert.ok(!existsSync(`${LIVES}/${service.name}`));
    await assertNothingLeft(service.name, { ...way.where, state: '/run/libvirt-sandbox' });
  });

  it('runs as the user that the options say, and for the rest as its entry of passwd has it', async (t) => {
    const script = 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME"; exec sleep 1000';
    const runsAs = async (options: readonly string[], log: string) => {
      const service = await serviceOf(t, way, { options, script });
      await service.ok(['start']);
      await service.untilLog(log);
      // So does a command in it.
      assert.equal(
        await service.inside('id -u; id -g; echo $HOME $USER'),
        log.replace(/\n[\d ]+\n(\S+ \S+).*/, '\n$1'),
      );
    };
    await runsAs(['-U', '65534', '-G', '0', '--homedir', '/srv'], '65534\n0\n0\n/srv nobody nobody\n');
    const { name, gid, home } = userOf(1);
    assert.notEqual(home, '');
    await runsAs(['--uid', '1'], `1\n${gid}\n${gid}\n${home} ${name} ${name}\n`);
    await runsAs(['-U', '54321', '-G', '54322', '--username', 'web'], '54321\n54322\n54322\n/ web web\n');
  });

  it('has a shell at this terminal', async (t) => {
    const service = await serviceOf(t, way, { script: 'exec sleep 1000' });
    await service.ok(['start']);
    const connect = () => {
      const given = { ...way.options, program: SERVICE_PROGRAM };
      const shell = new AtTerminal(['connect', service.name], { rows: 24, columns: 80 }, given);
      t.after(() => shell.close());
      return shell;
    };
    const shell = connect();
    await shell.until(/a shell in test-[0-9a-f]+; exit ends it, Ctrl\+\] leaves it/);
    await shell.until(/[#$] /);
    shell.type('stty size; exit 6\r');
    await shell.until(/24 80/);
    assert.equal((await shell.exited()).code, 6);
    const left = connect();
    await left.until(/[#$] /);
    left.type('\u001d');
    assert.equal((await left.exited()).code, 0);
    assert.equal(left.settings(), left.before);
    assert.equal((await service.status()).state, 'running');
  });

  it('is ready when its health command succeeds', async (t) => {
    const script = 'until [ -e /tmp/begun ]; do sleep 0.1; done; touch /tmp/ready; exec sleep 1000';
    const health = 'touch /tmp/begun; [ -e /tmp/ready ] || { echo not yet; exit 1; }';
    const service = await serviceOf(t, way, { options: ['--health', health], script });
    await service.ok(['start']);
    assert.equal(await service.inside('ls /tmp/ready'), '/tmp/ready\n');
    assert.deepEqual((await service.status()).health?.failures, 0);
  });

  it('says why it is not ready, and leaves nothing', async (t) => {
    // From the order on, on a loaded machine: the command has to have run by then.
    const seconds = platform === 'machine' ? 15 : 6;
    const late = await serviceOf(t, way, {
      options: ['--health', 'echo no database; false'],
      script: STAYS,
      keys: { starttimeout: seconds * 1000 },
    });
    const said = await late.fails(
      ['start'],
      new RegExp(`was not ready within ${seconds} s: its health command .* fails: exit status 1; it said: no database`),
    );
    assert.match(said, /guest: here\n/);
    assert.equal((await late.status()).state, 'failed');
    const ends = await serviceOf(t, way, { options: ['--health', 'false'], script: 'echo oh no >&2; exit 3' });
    assert.match(await ends.fails(['start'], /ended before it was ready: exit status 3/), /guest: oh no\n/);
    for (const { name } of [late, ends])
      await assertNothingLeft(name, { ...exceptLogs(way.where), state: '/run/libvirt-sandbox' });
  });

  it('starts again when it ends badly, and its log is one', async (t) => {
    const service = await serviceOf(t, way, { options: ['--restart', 'on-failure'], script: ENDS_TWICE, isKept: true });
    await service.ok(['start']);
    const { lastEnd } = await service.until(({ state, restarts }) => state === 'running' && restarts === 2);
    assert.deepEqual([lastEnd?.why, lastEnd?.exitCode], ['ended', 7]);
    await service.untilLog('start 0\nstart 1\nstart 2\n');
    // Whoever stops its sandbox means it.
    const stopped = await ctl(['stop', '-t', '5', service.name], way.options);
    assert.equal(stopped.code, 0, stopped.stderr);
    await service.until(({ state }) => state === 'stopped');
  });

  it('is not started again where nobody wants that', async (t) => {
    const service = await serviceOf(t, way, { options: ['--restart', 'on-failure'], script: 'exit 0' });
    await service.run(['start']);
    const { lastEnd, restarts } = await service.until(({ state }) => state === 'stopped');
    assert.deepEqual([lastEnd?.exitCode, restarts], [0, 0]);
  });

  it('is unhealthy after three failures, and starts anew', async (t) => {
    const health = '[ ! -e /tmp/ill ] || { echo ill; exit 1; }';
    const service = await serviceOf(t, way, {
      options: ['--restart', 'on-failure', '--health', health],
      script: STAYS,
      keys: { healthinterval: 100 },
    });
    await service.ok(['start']);
    await service.inside('touch /tmp/ill');
    const { lastEnd } = await service.until(({ state, restarts }) => state === 'running' && restarts === 1);
    assert.equal(lastEnd?.why, 'unhealthy');
    const { stderr } = await service.run(['logs']);
    assert.match(stderr, /it is unhealthy: exit status 1; it said: ill\n/);
  });

  it('leaves nothing when its holder is killed, and starts again', async (t) => {
    const service = await serviceOf(t, way, { script: STAYS });
    await service.ok(['start']);
    const { pid = 0 } = await service.status();
    process.kill(pid, 'SIGSTOP');
    assert.match(
      (await service.run(['status'])).out,
      /: running since .*\n(?:.*\n)? {2}warning {3}its holder does not/,
    );
    process.kill(pid, 'SIGKILL');
    const { state, lastEnd } = await service.until((status) => status.pid === undefined);
    assert.deepEqual([state, lastEnd?.why], ['failed', 'failed']);
    await assertNothingLeft(service.name, { ...exceptLogs(way.where), state: '/run/libvirt-sandbox' });
    await service.ok(['start']);
    assert.equal((await service.status()).state, 'running');
  });

  it('starts with its state when the host has gone down and is up again', async (t) => {
    const script = 'echo started >> /srv/log; sync; touch /tmp/up; exec sleep 1000';
    const service = await serviceOf(t, way, { options: ['--health', 'test -e /tmp/up'], script, isKept: true });
    await service.ok(['start']);
    const { pid = 0 } = await service.status();
    const all = [pid, ...processesWith(service.name).map((line) => Number.parseInt(line, 10))];
    // Each at once, so that none of them cleans up after another. Some end with their parents.
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const)
      for (const one of all) valueOr(() => process.kill(one, signal), false);
    assert.deepEqual(await leftAtLast(() => processesWith(service.name)), []);
    for (const above of ['libvirt-sandbox', 'libvirt-sandbox-services'])
      rmSync(`/run/${above}/${service.name}`, { recursive: true, force: true });
    await service.until((status) => status.pid === undefined);
    await service.ok(['start']);
    assert.equal(await service.inside('cat /srv/log'), 'started\nstarted\n');
  });

  it('is not removed while another sandbox has its state', async (t) => {
    const service = await serviceOf(t, way, { script: STAYS, isKept: true });
    const file = join(SERVICES, service.name, 'config/sandbox.cfg');
    const { code, stderr } = await runSandbox(['--config', file, '-c', way.uri, '--detach'], way.options);
    assert.equal(code, 0, stderr);
    await service.fails(['delete'], /has its state in .* in use/);
    assert.equal((await ctl(['stop', '-t', '0', service.name], way.options)).code, 0);
    await service.ok(['delete']);
  });

  it('has one holder if it is started twice at once', async (t) => {
    const service = await serviceOf(t, way, { script: STAYS });
    const results = await Promise.all([service.run(['start']), service.run(['start'])]);
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 125]);
    assert.match(results.map(({ stderr }) => stderr).join(''), /already runs/);
    assert.equal((await service.status()).state, 'running');
  });

  it('runs in the foreground, with its output and its status', async (t) => {
    const script = 'trap "exit 5" TERM; echo here; echo there >&2; until [ -e /tmp/go ]; do sleep 0.1; done; exit 4';
    const service = await serviceOf(t, way, { script });
    const running = service.begin(['run']);
    await running.until(/here/);
    await running.untilError(/there/);
    assert.equal((await service.status()).pid, running.pid);
    await service.run(['execute'], ['--', 'touch', '/tmp/go']);
    assert.equal((await running.result).code, 4);
    const again = service.begin(['run']);
    await again.until(/here/);
    again.child.kill('SIGTERM');
    assert.equal((await again.result).code, 5);
    assert.equal((await service.status()).state, 'stopped');
    assert.equal(await service.log(), 'here\nhere\n');
  });

  it('is killed if it does not end in time, and ends while it starts', async (t) => {
    const stubborn = await serviceOf(t, way, { script: 'trap "" TERM; echo here; while :; do sleep 0.1; done' });
    await stubborn.ok(['start']);
    await stubborn.untilLog('here\n');
    await stubborn.ok(['restart', '--time', '0.5']);
    const { state, lastEnd } = await stubborn.status();
    assert.deepEqual([state, lastEnd?.why, lastEnd?.signal], ['running', 'stopped', 'SIGKILL']);
    await stubborn.untilLog('here\nhere\n');
    await stubborn.ok(['stop', '-t', '0.5']);
    assert.equal((await stubborn.status()).lastEnd?.signal, 'SIGKILL');
    const slow = await serviceOf(t, way, { options: ['--health', 'false'], script: STAYS });
    const starting = slow.begin(['start']);
    await slow.until(({ state, pid }) => state === 'starting' && pid !== undefined);
    await slow.ok(['stop']);
    const { code, stderr } = await starting.result;
    assert.equal(code, 125);
    assert.match(stderr, /was stopped while it started/);
    assert.equal((await slow.status()).state, 'stopped');
  });
}
