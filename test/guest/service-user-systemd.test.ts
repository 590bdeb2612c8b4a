/** Services of an ordinary user under that user's systemd. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { uniqueName } from '../helpers/leftovers.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { type RunResult, runSandbox, startSandbox } from '../helpers/run.js';
import { UserSystemd, unlessUserSystemd } from '../helpers/user-systemd.js';

/** Says what it finds of the last time, and leaves a word when it is asked to end. */
const REMEMBERS = `cat /var/tmp/last 2>/dev/null
trap 'echo last word >/var/tmp/last; sync; exit 0' TERM
touch /tmp/ready
while :; do sleep 0.1; done`;

const STUBBORN = 'trap "" TERM; touch /tmp/ready; while :; do sleep 0.1; done';

const READY = ['--health', 'test -e /tmp/ready'];

const ALL = ['ActiveState', 'Result', 'MainPID', 'NRestarts', 'ExecMainStatus', 'StatusText'] as const;

describe('the systemd of a user', { skip: unlessOrdinaryUser() || unlessUserSystemd() }, () => {
  let user: OrdinaryUser;
  let systemd: UserSystemd;
  before(async () => {
    user = await OrdinaryUser.create();
    systemd = await UserSystemd.start(user);
  });
  after(async () => {
    await systemd?.end();
    await user?.end();
  });

  const program = () => join(dirname(user.options.program ?? ''), 'virt-sandbox-service');
  const unitOf = (name: string) => `${name}_sandbox.service`;

  async function service(words: readonly string[]): Promise<RunResult> {
    return runSandbox(words, { ...systemd.options, program: program() });
  }

  async function ok(run: Promise<RunResult>): Promise<string> {
    const { code, out, stderr } = await run;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    return out;
  }

  /** Makes one, and has systemd know its unit. */
  async function made(t: TestContext, script: string, options: readonly string[], uri?: string): Promise<string> {
    const name = uniqueName();
    const connect = uri === undefined ? [] : ['-c', uri];
    await ok(service([...connect, 'create', '-i', '160', ...READY, ...options, name, '--', 'sh', '-c', script]));
    t.after(async () => {
      await service(['stop', '-t', '0', name]);
      await service(['delete', name]);
    });
    await ok(systemd.systemctl('daemon-reload'));
    return name;
  }

  const fileOf = (name: string) => join(user.home, '.config/libvirt-sandbox/services', name, 'config/sandbox.cfg');

  /** Keys of `[service]` in its file, which `create` has no options for. */
  function set(name: string, keys: string): void {
    const file = fileOf(name);
    writeFileSync(file, readFileSync(file, 'utf8').replace('[service]\n', `[service]\n${keys}`));
  }

  for (const uri of ['qemu:///embed', 'qemu:///session'])
    it(`starts, restarts and stops a service over ${uri}`, async (t) => {
      const name = await made(t, REMEMBERS, ['--restart', 'on-failure', '--autostart'], uri);
      const unit = unitOf(name);
      const { UnitFileState, Wants } = {
        ...(await systemd.facts(unit, ['UnitFileState'])),
        ...(await systemd.facts('default.target', ['Wants'])),
      };
      assert.equal(UnitFileState, 'generated');
      assert.match(Wants ?? '', new RegExp(unit));
      await ok(systemd.systemctl('start', unit));
      const first = await systemd.until(unit, ALL, ({ StatusText }) => StatusText === 'running, healthy');
      assert.equal(first['ActiveState'], 'active');
      const status = await ok(service(['status', name]));
      assert.match(
        status,
        new RegExp(`: running, healthy since .*\n {2}held by {3}PID ${first['MainPID']}, ${unit}\n`),
      );
      if (uri === 'qemu:///embed') assert.match((await systemd.processes(unit)).join(), /qemu-system/);
      assert.match(status, new RegExp(`machine, (?:TCG|KVM), (?:cold|warm) boot, ${uri}`));
      await ok(systemd.systemctl('restart', unit));
      const second = await systemd.facts(unit, ALL);
      assert.notEqual(second['MainPID'], first['MainPID']);
      assert.equal((await service(['logs', name])).out, 'last word\n');
      process.kill(Number(second['MainPID']), 'SIGKILL');
      const again = (now: Readonly<Record<string, string>>) =>
        now['NRestarts'] === '1' && now['ActiveState'] === 'active';
      await systemd.until(unit, ALL, again);
      assert.match(await ok(service(['status', name])), /\n {2}restarts {2}1\n/);
      await ok(systemd.systemctl('stop', unit));
      const { ActiveState, Result } = await systemd.facts(unit, ALL);
      assert.deepEqual({ ActiveState, Result }, { ActiveState: 'inactive', Result: 'success' });
      assert.match(
        (await service(['status', name])).out,
        /: stopped since .*\n {2}last end {2}.*: stopped, exit status 0\n/,
      );
    });

  it('has the limits of its file over qemu:///embed, or does not start', async (t) => {
    const name = await made(t, REMEMBERS, ['--memory-limit', '1G', '--cpu-quota', '90000'], 'qemu:///embed');
    const unit = unitOf(name);
    const controllers = (await systemd.fileOf('-.slice', 'cgroup.controllers')).trim();
    const { code } = await systemd.systemctl('start', unit);
    const { MemoryMax, CPUQuotaPerSecUSec } = await systemd.facts(unit, ['MemoryMax', 'CPUQuotaPerSecUSec']);
    assert.deepEqual([MemoryMax, CPUQuotaPerSecUSec], [String(1 << 30), '900ms']);
    // The systemd of a user may have no such controllers.
    if (['cpu', 'memory'].every((one) => controllers.split(' ').includes(one))) {
      assert.equal(code, 0);
      assert.equal(await systemd.fileOf(unit, 'memory.max'), `${1 << 30}\n`);
      assert.equal(await systemd.fileOf(unit, 'cpu.max'), '90000 100000\n');
      return;
    }
    const { ActiveState, ExecMainStatus } = await systemd.facts(unit, ALL);
    assert.deepEqual([ActiveState, ExecMainStatus], ['failed', '78']);
    const { stderr } = await service(['run', name]);
    assert.match(stderr, /--cpu-quota takes control groups, and qemu:\/\/\/embed makes none/);
  });

  it('the end of one service over the daemon of the session is none of another', async (t) => {
    const [one, two] = [await made(t, REMEMBERS, []), await made(t, REMEMBERS, [])];
    for (const name of [one, two]) await ok(service(['start', name]));
    assert.match(await ok(service(['status', two])), /qemu:\/\/\/session\n/);
    for (const name of [one, two])
      assert.doesNotMatch((await systemd.processes(unitOf(name))).join(), /libvirtd|virtqemud|qemu-system/);
    assert.match((await systemd.processes('virt-sandbox-session.service')).join(), /qemu-system.*qemu-system/);
    await ok(service(['stop', one]));
    assert.equal(await ok(service(['execute', two, '--', 'cat', '/tmp/ready'])), '');
    await ok(service(['restart', two]));
    assert.equal((await service(['logs', two])).out, 'last word\n');
    await killDaemon();
    assert.equal(await ok(service(['execute', two, '--', 'cat', '/tmp/ready'])), '');
    assert.match(await ok(service(['status', two])), /: running, healthy since /);
    // The next start starts a daemon in the same unit, which knows what runs.
    await ok(service(['start', one]));
    assert.match((await systemd.processes('virt-sandbox-session.service')).join(), /qemu-system.*qemu-system/);
    await ok(service(['restart', two]));
    assert.equal((await service(['logs', two])).out, 'last word\nlast word\n');
    // It is stopped without a daemon, too; and removed while systemd holds it.
    await killDaemon();
    await ok(service(['stop', two]));
    await ok(service(['delete', one]));
    for (const name of [one, two]) {
      const { ActiveState, Result } = await systemd.facts(unitOf(name), ALL);
      assert.deepEqual({ name, ActiveState, Result }, { name, ActiveState: 'inactive', Result: 'success' });
    }
    assert.doesNotMatch((await systemd.processes('virt-sandbox-session.service')).join(), /qemu-system/);
    assert.match((await service(['status', one])).stderr, /there is no service/);
  });

  /** That of the session. */
  async function killDaemon(): Promise<void> {
    const pid = Number(readFileSync(join(user.home, 'run/libvirt/libvirtd.pid'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    await holdsDuring(new Promise(() => {}), () => !existsSync(`/proc/${pid}`));
  }

  it('starts what the file says, and over no other URI', async (t) => {
    const name = await made(t, REMEMBERS, [], 'qemu:///embed');
    const file = fileOf(name);
    writeFileSync(file, readFileSync(file, 'utf8').replace('connect=qemu:///embed\n', ''));
    const refusal = new RegExp(
      `systemd starts the service "${name}", and its file does not name the URI "qemu:///embed"; ` +
        `write connect=qemu:///embed into \\[service\\]: virt-sandbox-service edit ${name}\n$`,
    );
    const refused = async (...words: string[]) => {
      const { code, stderr } = await service(words);
      assert.equal(code, 125);
      assert.match(stderr, refusal);
    };
    await refused('start', '-c', 'qemu:///embed', name);
    assert.equal((await systemd.facts(unitOf(name), ALL))['ActiveState'], 'inactive');
    await ok(service(['start', name]));
    const { MainPID } = await systemd.facts(unitOf(name), ALL);
    // It is not stopped, either.
    await refused('restart', '-c', 'qemu:///embed', name);
    assert.equal((await systemd.facts(unitOf(name), ALL))['MainPID'], MainPID);
    await ok(service(['restart', name]));
    assert.match(await ok(service(['status', name])), /qemu:\/\/\/session\n/);
    assert.equal((await systemd.facts(unitOf(name), ALL))['ActiveState'], 'active');
    await ok(service(['stop', name]));
  });

  it('does not stop what it would start over another URI', async (t) => {
    const name = await made(t, REMEMBERS, [], 'qemu:///embed');
    const file = fileOf(name);
    writeFileSync(file, readFileSync(file, 'utf8').replace('connect=qemu:///embed\n', ''));
    const settings = join(user.home, '.config/libvirt');
    await mkdir(settings, { recursive: true });
    writeFileSync(join(settings, 'libvirt.conf'), 'uri_default = "qemu:///session"\n');
    t.after(() => rmSync(join(settings, 'libvirt.conf')));
    const run = service(['run', '-c', 'qemu:///embed', name]);
    let isOver = false;
    void run.finally(() => {
      isOver = true;
    });
    while (!/: running, healthy since /.test((await service(['status', name])).out)) assert.equal(isOver, false);
    const clone = uniqueName();
    for (const words of [
      ['restart', name],
      ['clone', '--stop', name, clone],
      ['export', '--stop', '-o', join(user.home, 'archive'), name],
    ]) {
      const { code, stderr } = await service(words);
      assert.equal(code, 125, stderr);
      assert.match(stderr, /its file does not name the URI "qemu:\/\/\/embed"/);
    }
    assert.equal(await ok(service(['execute', name, '--', 'cat', '/tmp/ready'])), '');
    await ok(service(['stop', name]));
    assert.equal((await run).code, 0);
  });

  it('a stop has the time that is asked for, if the service has as much', async (t) => {
    const name = await made(t, STUBBORN, ['--restart', 'always'], 'qemu:///embed');
    set(name, 'stoptimeout=100000\n');
    await ok(systemd.systemctl('daemon-reload'));
    await ok(service(['start', name]));
    const { code, stderr } = await service(['stop', '-t', '101', name]);
    assert.equal(code, 125);
    assert.match(stderr, /lets it take 100 s to end; leave out --time, or set stoptimeout /);
    assert.equal((await systemd.facts(unitOf(name), ALL))['ActiveState'], 'active');
    const before = performance.now();
    await ok(service(['stop', '-t', '1', name]));
    const took = performance.now() - before;
    assert.ok(took > 1000 && took < 60_000, `${took} ms`);
    // It had to be killed.
    const { ActiveState, NRestarts } = await systemd.facts(unitOf(name), ALL);
    assert.deepEqual({ ActiveState, NRestarts }, { ActiveState: 'failed', NRestarts: '0' });
  });

  it('a stop is one also while systemd waits before the next start', async (t) => {
    const name = await made(t, 'exit 1', ['--restart', 'always'], 'qemu:///embed');
    const slow = join(user.home, '.config/systemd/user', `${unitOf(name)}.d`);
    await ok(runSandbox(['-p', slow], { ...systemd.options, program: 'mkdir' }));
    writeFileSync(join(slow, 'slow.conf'), '[Service]\nRestartSec=600\nRestartSteps=0\n');
    await ok(systemd.systemctl('daemon-reload'));
    await systemd.systemctl('start', '--no-block', unitOf(name));
    await systemd.until(unitOf(name), ['SubState'], ({ SubState }) => SubState === 'auto-restart');
    await ok(service(['stop', name]));
    assert.match((await systemd.facts(unitOf(name), ALL))['ActiveState'] ?? '', /^(inactive|failed)$/);
  });

  it('does not try again what another process holds', async (t) => {
    const name = await made(t, REMEMBERS, ['--restart', 'always'], 'qemu:///embed');
    const said = join(user.home, `said-${name}`);
    const directory = join(user.home, '.config/systemd/user', `${unitOf(name)}.d`);
    await mkdir(directory, { recursive: true });
    writeFileSync(said, '');
    chmodSync(said, 0o666);
    writeFileSync(join(directory, 'said.conf'), `[Service]\nStandardError=append:${said}\n`);
    await ok(systemd.systemctl('daemon-reload'));
    const other = startSandbox(['run', name], { ...systemd.options, program: program() });
    await systemd.until(unitOf(name), ['ActiveState'], () => /healthy|running/.test(readStatus(name)));
    assert.notEqual((await systemd.systemctl('start', unitOf(name))).code, 0);
    const { ActiveState, NRestarts, ExecMainStatus } = await systemd.facts(unitOf(name), ALL);
    assert.deepEqual([ActiveState, NRestarts, ExecMainStatus], ['failed', '0', '78']);
    assert.match(
      readFileSync(said, 'utf8'),
      new RegExp(
        `already runs, and another process than \\S+ holds it; stop it first: virt-sandbox-service stop ${name}`,
      ),
    );
    await ok(service(['stop', name]));
    await other.result;
    await ok(service(['start', name]));
  });

  /** What is recorded of a service. */
  function readStatus(name: string): string {
    const file = join(user.home, '.local/state/libvirt-sandbox/services', name, 'service.json');
    try {
      return /"phase":"(\w+)"/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
    } catch {
      return '';
    }
  }
});
