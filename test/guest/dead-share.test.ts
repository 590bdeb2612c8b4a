/** A virtiofsd that is killed while QEMU runs: the sandbox ends at once, names the mount, and leaves nothing. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from '../../src/index.js';
import { valueOr } from '../../src/util/errors.js';
import { MARKS, type Mark } from '../../src/util/marks.js';
import { embedded, system } from '../helpers/connections.js';
import { rejectsWith } from '../helpers/errors.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import {
  assertFailure,
  assertFailureWith,
  assertRun,
  type RunOptions,
  runSandbox,
  startSandbox,
} from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

/** What libvirt started for a directory, and the virtiofsd below it. */
function serversOf(directory: string): number[] {
  return processesWith(directory)
    .filter((line) => line.includes('--shared-dir'))
    .map((line) => Number.parseInt(line, 10));
}

/** Kills what libvirt started for a share, and waits until the virtiofsd below it, which dies with it, is gone too. */
async function killServers(servers: readonly number[]): Promise<void> {
  const below = servers.flatMap((pid) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').map(Number).filter(Boolean),
  );
  for (const pid of servers) process.kill(pid, 'SIGKILL');
  while ([...servers, ...below].some(isRunning)) await sleep(5);
}

/** Whether a process is there, and no zombie: proc_pid_stat(5). */
function isRunning(pid: number): boolean {
  const stat = valueOr(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '');
  return stat !== '' && !stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
}

/** Two directories of the host as mounts. */
function twoShares(t: TestContext): { directory: string; args: readonly string[] } {
  const scratch = scratchDirectory(t);
  const [first, second] = ['first', 'second'].map((name) => join(scratch, name));
  for (const directory of [first ?? '', second ?? '']) mkdirSync(directory);
  writeFileSync(join(second ?? '', 'file'), 'content');
  return { directory: second ?? '', args: ['-m', `host-bind:/mnt=${first}`, '-m', `host-bind:/srv=${second}`] };
}

/** Kills what serves /srv while the guest waits for it, and expects the sandbox to say so. */
async function expectDeath(t: TestContext, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const name = uniqueName();
  const shares = twoShares(t);
  // The guest hangs in the share, so it can tell nothing.
  const script = 'cat /srv/file; echo; read line; cat /srv/*; ls /srv; exit 7';
  const command = [...args, '-n', name, ...shares.args, '--', 'sh', '-c', script];
  const running = startSandbox(command, { ...options, input: 'open' });
  await running.until(/content/);
  const servers = serversOf(shares.directory);
  assert.ok(servers.length > 0);
  // Until it is gone it serves the guest, which would end.
  await killServers(servers);
  running.child.stdin?.write('go on\n');
  const result = await running.result;
  const stderr = result.stderr.replace(/^virt-sandbox: warning: the sandbox sees all .*\n/, '');
  assertFailureWith(125, { ...result, out: '', stderr }, /^virt-sandbox: application: virtiofsd of \/srv died/);
  return name;
}

/** What is going on in the share when its server is killed, each again and again. It tells that it has begun. */
const BUSY: Readonly<Record<string, string>> = {
  'a read': 'echo begun; while :; do cat /srv/large >/dev/null; echo 3 >/proc/sys/vm/drop_caches; done',
  'a write': 'echo begun; exec dd if=/dev/zero of=/srv/new bs=64k conv=notrunc',
  'a write to mapped memory': [
    `python3 -c 'import mmap, os`,
    'fd = os.open("/srv/large", os.O_RDWR)',
    'memory = mmap.mmap(fd, 8 << 20)',
    'print("begun", flush=True)',
    'while True:',
    '    for at in range(0, len(memory), 4096): memory[at] = (memory[at] + 1) % 256',
    `    memory.flush()'`,
  ].join('\n'),
  'a list': 'echo begun; while :; do ls -lR /srv >/dev/null; done',
};

describe('a virtiofsd that dies', { skip: embedded.skip || unlessServingKernel }, () => {
  let snapshot: UsualSnapshot | undefined;
  before(async () => {
    snapshot = await usualSnapshot();
  });
  after(() => snapshot?.remove());

  for (const way of [embedded, system]) {
    it(`ends a machine that booted: ${way.uri}`, { skip: way.skip }, async (t) => {
      const name = await expectDeath(t, ['-c', way.uri, '--boot', 'cold']);
      await assertNothingLeft(name, exceptLogs(way.where));
    });
  }

  it('ends a machine that was restored', async (t) => {
    const env = snapshot?.env ?? {};
    await assertNothingLeft(await expectDeath(t, ['-c', embedded.uri, '--boot', 'warm'], { env }));
  });

  for (const [what, script] of Object.entries(BUSY))
    it(`during ${what} ends the sandbox`, async (t) => {
      const name = uniqueName();
      const { directory, args } = twoShares(t);
      writeFileSync(join(directory, 'large'), Buffer.alloc(8 << 20, 'x'));
      const words = ['-c', embedded.uri, '-n', name, '-p', ...args, '--', 'sh', '-c', script];
      const running = startSandbox(words, { env: snapshot?.env ?? {} });
      await running.until(/begun/);
      await killServers(serversOf(directory));
      const result = await running.result;
      assertFailureWith(125, { ...result, out: '' }, /^virt-sandbox: application: virtiofsd of \/srv died/);
      await assertNothingLeft(name, exceptLogs(embedded.where));
    });

  for (const way of [embedded, system]) {
    it(`before it is mounted, ends the start: ${way.uri}`, { skip: way.skip }, async (t) => {
      const name = uniqueName();
      const { directory } = twoShares(t);
      const killed: number[] = [];
      // QEMU runs, the guest does not use the share yet, and the watch has perhaps not looked yet.
      const onMark = (mark: unknown) => {
        if (!['warm.loaded', 'channel.sync'].includes((mark as Mark).name) || killed.length > 0) return;
        for (const pid of serversOf(directory)) {
          process.kill(pid, 'SIGKILL');
          killed.push(pid);
        }
      };
      subscribe(MARKS, onMark);
      t.after(() => unsubscribe(MARKS, onMark));
      const share = { type: 'host-bind', target: '/srv', source: directory, readOnly: false, includes: [] } as const;
      const run = async () => {
        const sandbox = await Sandbox.start({ name, mounts: [share], command: ['ls', '/srv'] }, { connect: way.uri });
        await sandbox.exited;
      };
      await rejectsWith(run(), 'virtiofsd-died', /virtiofsd of \/srv died/);
      assert.ok(killed.length > 0);
      await assertNothingLeft(name, exceptLogs(way.where));
    });
  }

  const unlessUserOfSystem = unlessOrdinaryUser() || unlessPrivateLibvirt();
  it("ends an ordinary user's machine over qemu:///system", { skip: unlessUserOfSystem }, async (t) => {
    const lab = await PrivateLibvirt.start();
    const user = await OrdinaryUser.create();
    try {
      const through = [...lab.through, ...(user.options.through ?? [])];
      await expectDeath(t, ['-c', 'qemu:///system'], { ...user.options, through });
    } finally {
      await lab.end();
      await user.end();
    }
  });

  it('with QEMU changes no status that is known', async (t) => {
    const { directory, args } = twoShares(t);
    const name = uniqueName();
    // The guest tells its status, and powers off half a second later. Then its virtiofsd ends too.
    const script = '(sleep 0.5; echo o >/proc/sysrq-trigger) >/dev/null 2>&1 & exit 7';
    const result = await runSandbox(['-c', embedded.uri, '-p', '-n', name, ...args, '--', 'sh', '-c', script]);
    assertRun(result, 7, '');
    assert.deepEqual(serversOf(directory), []);
    await assertNothingLeft(name);
  });

  it('while the guest powers off is not the reason', async (t) => {
    const { args } = twoShares(t);
    const name = uniqueName();
    // It waits without another program: the root answers no more while the machine powers off. It gets its line when
    // libvirt has started the domain.
    const crash = ['sh', '-c', 'read line; echo o > /proc/sysrq-trigger; while :; do :; done'];
    const result = await runSandbox(['-c', embedded.uri, '-p', '-n', name, ...args, '--', ...crash], { input: '\n' });
    assertFailure(result, /the guest ended while the application ran/);
    await assertNothingLeft(name);
  });
});
