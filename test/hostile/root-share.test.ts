/**
 * Promise: a guest sees the host's real file systems, and nothing of its processes, sockets, temporary files, sandboxes
 * and keys.
 * The attacker is root inside, with every capability. It looks below its own mounts. The victims are what the host has
 * in /proc, /sys, /dev, /run and /tmp, the store, and keys of the user who starts the sandbox.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, lxc, system, type Way } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';

/** Outside /tmp. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-');
const roots = join(ground, 'root/home');
const users = join(ground, 'user/home');
const HOSTS_RUN = `/run/virt-sandbox-hostile-${process.pid}`;

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, text, { mode: 0o644 });
}

const mounted: string[] = [];
function mount(type: string, directory: string): void {
  mkdirSync(directory, { mode: 0o755 });
  execFileSync('mount', ['-t', type, 'none', directory]);
  mounted.push(directory);
}

/** A home with keys. */
function plantHome(home: string): void {
  write(join(home, '.aws/credentials'), 'secret');
  write(join(home, '.netrc'), 'secret');
  write(join(home, '.profile'), 'seen');
  // What a link leads to is hidden too, also by its own path.
  write(join(dirname(home), 'elsewhere/id'), 'secret');
  symlinkSync('../elsewhere', join(home, '.ssh'));
}

/** The root share without the mounts of the guest's own. */
const SHARE = 'mkdir -p /tmp/h; mount --bind / /tmp/h; cd /tmp/h';
const list = (directory: string) => `${SHARE}/${directory} && ls -A`;
const read = (path: string) => `${SHARE} && cat ./${path}`;

const looksAt = (home: string) => ({
  proc: list('proc'),
  sys: list('sys'),
  dev: list('dev'),
  run: list('run'),
  tmp: list('tmp'),
  socket: read(HOSTS_RUN),
  kernels: list(`${ground}/disk/proc`),
  private: read(`${ground}/private/file`),
  file: read(`${ground}/plain`),
  disk: read(`${ground}/disk/file`),
  profile: read(`${home}/.profile`),
  ...keysOf(home),
});
const keysOf = (home: string) => ({
  key: read(`${home}/.ssh/id`),
  target: read(`${dirname(home)}/elsewhere/id`),
  aws: read(`${home}/.aws/credentials`),
  netrc: read(`${home}/.netrc`),
});

function assertHidden(found: Record<keyof ReturnType<typeof looksAt>, string>): void {
  const { file, disk, profile, socket, private: asked, key, target, aws, ...empty } = found;
  assert.deepEqual([file, disk, profile], ['seen', 'seen', 'seen']);
  for (const answer of [socket, asked, key, target, aws]) assert.match(answer, /No such file or directory$/);
  for (const [name, answer] of Object.entries(empty)) assert.equal(answer, '', name);
}

async function assertWall(uri: string, home: string, options: RunOptions, where: Way['where']): Promise<void> {
  const name = uniqueName();
  const args = ['-c', uri, ...ACCEL, '-n', name, '-p', '--hide', join(ground, 'private')];
  assertHidden(await ask(args, looksAt(home), options));
  await assertNothingLeft(name, where);
}

/** What a guest sees when a process that keeps the view has been ended meanwhile: the same as before. */
async function assertStays(
  uri: string,
  home: string,
  { signal, which }: { readonly signal: 'SIGTERM' | 'SIGHUP' | 'SIGKILL'; readonly which: 0 | 1 },
  options: RunOptions,
  where: Way['where'],
): Promise<void> {
  const name = uniqueName();
  const seen = join(ground, 'plain');
  const script = `echo up; read line; cat ${seen}; ${SHARE}; ls -A proc; cat ./${home}/.aws/credentials; echo; ls ${seen}`;
  const args = ['-c', uri, ...ACCEL, '-n', name, '-p', '--', 'sh', '-c', script];
  const running = startSandbox(args, { ...options, input: 'open' });
  await running.until(/^up\n/);
  // The second is the first one's child.
  const staying = () => processesWith(name).filter((line) => /^\d+ \S+\/root-view /.test(line));
  while (staying().length < 2) await sleep(5);
  const pid = Number.parseInt(staying()[which] ?? '', 10);
  assert.ok(pid > 0, 'a process keeps the view');
  process.kill(pid, signal);
  while (existsSync(`/proc/${pid}/exe`)) await sleep(20);
  running.child.stdin?.end('\n');
  const { out, stderr } = await running.result;
  assert.equal(out, `up\nseen\n${seen}\n`, stderr);
  await assertNothingLeft(name, where);
}

describe('the root share', { skip: embedded.skip }, () => {
  before(() => {
    chmodSync(ground, 0o755);
    write(HOSTS_RUN, 'secret');
    write(join(ground, 'plain'), 'seen');
    write(join(ground, 'private/file'), 'secret');
    for (const home of [roots, users]) plantHome(home);
    execFileSync('chown', ['-R', '65534:65534', users]);
    mount('tmpfs', join(ground, 'disk'));
    write(join(ground, 'disk/file'), 'seen');
    mount('proc', join(ground, 'disk/proc'));
  });
  after(async () => {
    for (const directory of mounted.reverse()) execFileSync('umount', [directory]);
    rmSync(HOSTS_RUN, { force: true });
    // Busy as long as the view of another test's sandbox over qemu:///system shows what was mounted there. rmSync() tries
    // again for the directory itself only, and not for a busy one in it.
    await rm(ground, { recursive: true, force: true, maxRetries: 30, retryDelay: 100 });
  });

  for (const way of [embedded, system]) {
    it(`of root's over ${way.uri} has files only`, { skip: way.skip }, () =>
      assertWall(way.uri, roots, { env: { HOME: roots } }, way.where),
    );
  }

  it('is made whatever file systems others have mounted', { skip: unlessProgram('perl') }, async (t) => {
    // Nobody may look into such a file system but its user, not even root. It is on the way to a place of keys.
    const shut = join(roots, '.config');
    mkdirSync(shut);
    const connection = openSync('/dev/fuse', 'r+');
    t.after(() => closeSync(connection));
    const options = 'fd=3,rootmode=40000,user_id=65534,group_id=65534';
    const perl = `my ($from, $at, $type, $options) = ("none", "${shut}", "fuse", "${options}");
      syscall(165, $from, $at, $type, 0, $options) == 0 or die "mount: $!"`;
    const made = spawnSync('perl', ['-e', perl], { stdio: ['ignore', 'ignore', 'inherit', connection] });
    assert.equal(made.status, 0);
    t.after(() => execFileSync('umount', [shut]));
    assert.throws(() => readdirSync(shut), { code: 'EACCES' });
    const facts = { proc: list('proc'), shut: list(shut) };
    const found = await ask(['-c', embedded.uri, ...ACCEL, '-p'], facts, { env: { HOME: roots } });
    assert.deepEqual(found, { proc: '', shut: '' });
  });

  for (const [signal, which] of [
    ['SIGTERM', 0],
    ['SIGHUP', 0],
    ['SIGKILL', 0],
    ['SIGKILL', 1],
  ] as const) {
    it(`stays when process ${which + 1} of 2 gets ${signal}, and leaves no mount`, { skip: system.skip }, () =>
      assertStays(system.uri, roots, { signal, which }, { env: { HOME: roots } }, system.where),
    );
  }

  describe("of an ordinary user's", { skip: unlessOrdinaryUser() }, () => {
    let user: OrdinaryUser | undefined;
    const options = (): RunOptions => {
      const { program, through, cwd, env } = user?.options ?? {};
      const cache = join(user?.home ?? '', '.cache');
      return {
        ...(program && through && cwd ? { program, through, cwd } : {}),
        env: { ...env, HOME: users, XDG_CACHE_HOME: cache },
      };
    };
    before(async () => {
      user = await OrdinaryUser.create();
    });
    after(() => user?.end());

    for (const uri of ['qemu:///session', embedded.uri]) {
      it(`over ${uri} has files only, and no keys`, () => assertWall(uri, users, options(), user?.where ?? {}));
    }

    it('stays what it is when one of the processes that keep it is killed', () =>
      assertStays(embedded.uri, users, { signal: 'SIGKILL', which: 0 }, options(), user?.where ?? {}));

    it('shows keys with --hide none', async () => {
      const found = await ask(
        ['-c', embedded.uri, ...ACCEL, '--hide', 'none', '-p'],
        { ...keysOf(users), proc: list('proc') },
        options(),
      );
      assert.deepEqual(found, { key: 'secret', target: 'secret', aws: 'secret', netrc: 'secret', proc: '' });
    });

    it('is refused with -p where nothing can be hidden', async () => {
      const name = uniqueName();
      const args = ['-c', embedded.uri, ...ACCEL, '-n', name];
      // A process whose limit of user namespaces is 0.
      const without = [
        'unshare',
        '--user',
        '--map-current-user',
        '--keep-caps',
        'sh',
        '-c',
        'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"',
        'sh',
      ];
      const through = [...(options().through ?? []), ...without];
      const refused = await runSandbox([...args, '-p', '--', '/bin/true'], { ...options(), through });
      assertFailure(refused, /cannot be hidden from the sandbox: cannot have a user namespace: No space left/);
      const all = await runSandbox([...args, '--', 'sh', '-c', 'echo ran'], { ...options(), through });
      assert.equal(all.out, 'ran\n', all.stderr);
      assert.match(all.stderr, /^virt-sandbox: warning: the sandbox sees all of the host's files/);
      await assertNothingLeft(name, exceptLogs(user?.where ?? {}));
    });
  });

  it('of a container has no keys, and nothing that is to be hidden', { skip: lxc.skip }, async () => {
    const facts = {
      aws: `cat ${roots}/.aws/credentials`,
      netrc: `cat ${roots}/.netrc`,
      private: `cat ${ground}/private/file`,
      file: `cat ${ground}/plain`,
    };
    const args = ['-c', lxc.uri, '--hide', join(ground, 'private')];
    const found = await ask(args, facts, { ...lxc.options, env: { HOME: roots } });
    assert.match(found.aws, /No such file or directory$/);
    assert.match(found.private, /No such file or directory$/);
    assert.deepEqual([found.netrc, found.file], ['', 'seen']);
  });
});
