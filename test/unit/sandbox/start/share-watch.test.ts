/** Processes that serve shares are watched. Here they are shells that wait. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ShareWatch } from '../../../../src/sandbox/start/share-watch.js';
import { rejectsWith } from '../../../helpers/errors.js';

const SHARES = [
  { directory: '/first', target: '/mnt' },
  { directory: '/second', target: '/srv' },
];

async function server(context: TestContext, directory: string): Promise<{ child: ChildProcess; pid: number }> {
  const child = spawn('sh', ['-c', 'echo up; read line', 'server', '--shared-dir', directory], { stdio: 'pipe' });
  context.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return { child, pid: child.pid ?? 0 };
}

interface Watched {
  readonly watch: ShareWatch;
  looks: number;
  hasFailed: boolean;
}

/** A watch that has begun. @param pids asked at each look */
function watched(context: TestContext, pids: () => readonly number[], seesQemu: boolean): Watched {
  const watched: Watched = { watch: new ShareWatch(SHARES), looks: 0, hasFailed: false };
  context.after(() => watched.watch.end());
  watched.watch.failed.catch(() => {
    watched.hasFailed = true;
  });
  watched.watch.begin({
    shareServers: async () => {
      watched.looks += 1;
      return [...pids()];
    },
    seesQemu: async () => seesQemu,
  });
  // Keeps this process alive: the watch itself does not.
  const alive = setInterval(() => {}, 1000);
  context.after(() => clearInterval(alive));
  return watched;
}

it('the death of a server names its mount, also of one that libvirt started later', async (context) => {
  const [first, second] = await Promise.all(SHARES.map(({ directory }) => server(context, directory)));
  let known = [first?.pid ?? 0];
  const seen = watched(context, () => known, false);
  while (seen.looks === 0) await sleep(10);
  known = [first?.pid ?? 0, second?.pid ?? 0];
  while (seen.looks === 1) await sleep(10);
  second?.child.kill('SIGKILL');
  assert.match((await rejectsWith(seen.watch.failed, 'virtiofsd-died')).message, /^virtiofsd of \/srv died/);
});

/** The process ID of a server that has ended. */
async function endedServer(context: TestContext): Promise<number> {
  const { child, pid } = await server(context, '/ended');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return pid;
}

it('a server that ended before it was seen is dead where its QEMU is seen', async (context) => {
  const { pid } = await server(context, '/first');
  const ended = await endedServer(context);
  const { watch } = watched(context, () => [pid, ended], true);
  assert.match((await rejectsWith(watch.failed, 'virtiofsd-died')).message, /^virtiofsd of \/srv died/);
});

it('a file that an earlier domain left is no dead server', async (context) => {
  const servers = await Promise.all(SHARES.map(({ directory }) => server(context, directory)));
  const pids = [await endedServer(context), ...servers.map(({ pid }) => pid)];
  const seen = watched(context, () => pids, true);
  // All are known after the first look, and nobody is asked any more.
  while (seen.looks < 1) await sleep(10);
  await sleep(700);
  assert.deepEqual([seen.looks, seen.hasFailed], [1, false]);
});

it('a server that was never seen to run may have its process ID from elsewhere, as its QEMU', async (context) => {
  const pid = await endedServer(context);
  const seen = watched(context, () => [pid], false);
  while (seen.looks < 2) await sleep(10);
  assert.equal(seen.hasFailed, false);
});

it('a server that cannot be looked at is not dead', async (context) => {
  const { pid } = await server(context, '/first');
  const script = `
    const { ShareWatch } = await import(process.argv[1]);
    const { openSync, closeSync } = await import('node:fs');
    const watch = new ShareWatch([{ directory: '/first', target: '/mnt' }, { directory: '/no', target: '/no' }]);
    let looks = 0;
    const taken = [];
    const takeAll = () => { for (;;) try { taken.push(openSync('/dev/null')); } catch { return; } };
    watch.failed.catch((error) => { console.log(error.code); process.exit(1); });
    watch.begin({ shareServers: async () => {
      looks += 1;
      if (looks === 2) takeAll();
      if (looks === 4) { for (const fd of taken) closeSync(fd); console.log('alive'); process.exit(0); }
      return [${pid}];
    }, seesQemu: async () => true });
    setInterval(() => {}, 1000);`;
  const module = new URL('../../../../src/sandbox/start/share-watch.js', import.meta.url).href;
  const words = ['--nofile=64', process.execPath, '--input-type=module', '-e', script, module];
  assert.equal(execFileSync('prlimit', words, { encoding: 'utf8' }), 'alive\n');
});

it('a server that libvirt knows nothing of is watched too, and its last error told', async (context) => {
  const { child, pid } = await server(context, '/elsewhere');
  const own = { pid: () => pid, lastWords: () => 'it broke' };
  const watch = new ShareWatch([{ directory: '/first', target: '/', server: own }]);
  context.after(() => watch.end());
  let looks = 0;
  watch.begin({
    shareServers: async () => {
      looks += 1;
      return [];
    },
    seesQemu: async () => false,
  });
  const alive = setInterval(() => {}, 1000);
  context.after(() => clearInterval(alive));
  while (looks === 0) await sleep(10);
  child.kill('SIGKILL');
  const { message, remedy } = await rejectsWith(watch.failed, 'virtiofsd-died');
  assert.match(message, /^the server of \/ died, and with it the mount: it broke$/);
  assert.doesNotMatch(remedy, /libvirt/);
});

it('a watch that was ended does not begin', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const watch = new ShareWatch(SHARES);
  watch.end();
  let looks = 0;
  watch.begin({
    shareServers: async () => {
      looks += 1;
      return [];
    },
    seesQemu: async () => true,
  });
  context.mock.timers.tick(2000);
  assert.equal(looks, 0);
});

it('nothing is looked at without such shares, nor after the end', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  let looks = 0;
  const shareServers = async () => {
    looks += 1;
    return [];
  };
  new ShareWatch([]).begin({ shareServers, seesQemu: async () => true });
  const watch = new ShareWatch(SHARES);
  watch.begin({ shareServers, seesQemu: async () => true });
  context.mock.timers.tick(1000);
  assert.equal(looks, 2);
  watch.end();
  context.mock.timers.tick(10_000);
  assert.equal(looks, 2);
});
