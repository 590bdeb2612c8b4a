/**
 * Promise: another user of the host changes nothing of root's sandboxes, and leads root nowhere.
 * The attacker is an ordinary user, who plants files in a home, binds sockets and starts processes with any command
 * line. The victims are root's files, root's sandboxes and a service that trusts root.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { bakeJson, runBake } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { ctlAtTerminal, said } from '../helpers/ctl.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { programOf } from '../helpers/programs.js';
import { assertFailure, assertRun, REPOSITORY, runSandbox } from '../helpers/run.js';
import { startNamed } from '../helpers/shells.js';

const UID = 65_534;
const AS_ATTACKER = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--'];

/** Outside /tmp, which a sandbox replaces. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-');
chmodSync(ground, 0o755);
const home = join(ground, 'home');
mkdirSync(home);
chownSync(home, UID, UID);
after(() => rmSync(ground, { recursive: true, force: true }));

/** Runs a command of the attacker. */
function plant(...command: readonly string[]): void {
  const [program = '', ...args] = [...AS_ATTACKER, ...command];
  execFileSync(program, args, { stdio: 'inherit' });
}

/** Starts a program that waits, and ends it with the test. */
async function waiting(t: TestContext, ...command: readonly string[]): Promise<void> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
}

/** Node.js that runs `code`, says that it is ready, and waits. It ignores its arguments. */
const script = (code: string, ...args: readonly string[]) => [
  ...[process.execPath, '-e', `${code}; console.log('ready'); setInterval(() => {}, 1e6)`, '--', ...args],
];

/** Runs this as root in a host whose user database has the attacker's home. */
function withAttackersHome(): readonly string[] {
  const passwd = join(ground, 'passwd');
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  const moved = lines.map((line) => {
    const fields = line.split(':');
    return fields[2] === String(UID) ? fields.with(5, home).join(':') : line;
  });
  writeFileSync(passwd, moved.join('\n'));
  return ['unshare', '--mount', '--', 'sh', '-ec', 'mount --bind "$0" /etc/passwd; exec "$@"', passwd];
}

describe("root's --attach", { skip: embedded.skip }, () => {
  const state = join(home, '.cache/libvirt-sandbox');

  it('finds no sandbox of a user by its bare name', async () => {
    plant('mkdir', '-p', join(state, 'web/shell'));
    const result = await runSandbox(['--attach', 'web', '--', 'true'], { through: withAttackersHome() });
    assertFailure(result, /no sandbox called "web" runs/);
  });

  it('talks to no service that a planted link leads to', async (t) => {
    const socket = join(ground, 'service');
    let connections = 0;
    let received = 0;
    const service = createServer((peer) => {
      connections += 1;
      peer
        .on('error', () => {})
        .on('data', ({ length }: Buffer) => {
          received += length;
        });
    });
    await new Promise<void>((resolve) => service.listen(socket, resolve));
    t.after(() => service.close());
    plant('ln', '-s', socket, join(state, 'web/shell/sessions'));
    const result = await runSandbox(['--attach', 'nobody/web', '--', 'true'], { through: withAttackersHome() });
    assertFailure(result, /cannot be attached to: there is no socket/);
    assert.deepEqual({ connections, received }, { connections: 0, received: 0 });
  });

  it('opens no directory that a planted link leads to', async () => {
    mkdirSync(join(ground, 'secret/shell'), { recursive: true, mode: 0o700 });
    plant('ln', '-s', join(ground, 'secret'), join(state, 'linked'));
    const result = await runSandbox(['--attach', 'nobody/linked', '--', 'true'], { through: withAttackersHome() });
    assertFailure(result, /the sandbox linked is not attached to: \S+linked is not that user's own directory/);
  });

  it('cannot be kept out by another user', async (t) => {
    const name = uniqueName();
    const running = await startNamed(t, name, embedded.uri, ['--shell']);
    // Where 0.9 had its lock.
    const { dev, ino } = statSync(join('/run/libvirt-sandbox', name, 'shell'));
    const code = `require('net').createServer().listen('\\0virt-sandbox/${dev}:${ino}')`;
    await waiting(t, ...AS_ATTACKER, ...script(code));
    assertRun(await runSandbox(['--attach', name, '--', 'id', '-un']), 0, 'root\n');
    running.child.stdin?.end();
    assert.equal((await running.result).code, 0);
    await assertNothingLeft(name);
  });
});

describe("root's store", { skip: embedded.skip || unlessServingKernel }, () => {
  let cache = '';
  before(() => {
    cache = makeCache();
  });
  after(() => removeCache(cache));

  it('is in no directory of another user, whatever XDG_CACHE_HOME says', async () => {
    const directory = join(home, 'cache');
    plant('mkdir', directory);
    const env = { XDG_CACHE_HOME: directory };
    const result = await runSandbox(['-c', embedded.uri, '--dry-run', '--', 'true'], { env });
    assertFailure(result, /XDG_CACHE_HOME has root keep its files in \S+, and \S+ belongs to user 65534; unset/);
    assert.deepEqual(readdirSync(directory), []);
  });

  it('boots by no profile of another user, whatever HOME says', async () => {
    const directory = join(home, '.config/libvirt-sandbox/profiles');
    plant('mkdir', '-p', directory);
    plant('cp', join(REPOSITORY, 'profiles/fast.json'), join(directory, 'mine.json'));
    const args = ['-c', embedded.uri, '--profile', 'mine', '--dry-run', '--', 'true'];
    const result = await runSandbox(args, { env: { HOME: home, XDG_CONFIG_HOME: undefined } });
    assertFailure(
      result,
      /HOME has root keep its files in \S+, and \S+ belongs to user 65534; set HOME to that of root/,
    );
  });

  it('is in no directory where everybody may put something', async () => {
    for (const directory of ['/tmp', '/tmp/virt-sandbox-hostile-not-there']) {
      const env = { XDG_CACHE_HOME: directory };
      const result = await runSandbox(['-c', embedded.uri, '--dry-run', '--', 'true'], { env });
      assertFailure(result, /XDG_CACHE_HOME has root keep its files in \S+, and everybody may write to \/tmp; unset/);
    }
  });

  it('is not reached through a link of another user', async () => {
    const link = join(home, 'link');
    const target = join(ground, 'target');
    mkdirSync(target);
    plant('ln', '-s', target, link);
    const result = await runSandbox(['-c', embedded.uri, '--dry-run', '--', 'true'], { env: { XDG_CACHE_HOME: link } });
    assertFailure(result, /belongs to user 65534/);
  });

  it('keeps no image for a process of another user that claims to use it', async (t) => {
    const { image } = await bakeJson<{ image: string }>(cache, ['create', '--name', 'web']);
    await waiting(
      t,
      ...AS_ATTACKER,
      ...script('', '-name', 'guest=\x1b[2J\x1b]0;owned\x07', '-kernel', join(image, 'vmlinux')),
    );
    const list = await runBake(cache, ['list']);
    assert.equal(list.code, 0, list.stderr);
    assert.doesNotMatch(list.out, /owned|\p{Cc}(?<!\n)/u);
    const removed = await runBake(cache, ['rm', 'web']);
    assert.equal(removed.code, 0, removed.stderr);
  });

  it('prints nothing that a terminal acts on', async (t) => {
    const { image } = await bakeJson<{ image: string }>(cache, ['create', '--name', 'web']);
    // A process of root's own counts, and its name may be anything.
    await waiting(t, ...script('', '-name', 'guest=\x1b[2Jx', '-kernel', join(image, 'vmlinux')));
    const { out } = await runBake(cache, ['list']);
    assert.match(out, /\\u\{1b\}\[2Jx/);
  });
});

describe('a sandbox that others may talk to', { skip: embedded.skip }, () => {
  const state = join(home, '.cache/libvirt-sandbox/talk');
  const root = statSync(process.execPath).uid;
  const connecting = [process.execPath, programOf('connecting')] as const;

  async function outcome(through: readonly string[], name: string): Promise<Record<string, unknown>> {
    const { out, stderr } = await runSandbox([connecting[1], name], { through, program: connecting[0] });
    assert.equal(stderr, '');
    return JSON.parse(out) as Record<string, unknown>;
  }

  it("is not one of root's to another user, who cannot open its socket either", async (t) => {
    const name = uniqueName();
    const running = await startNamed(t, name, embedded.uri, []);
    const socket = join('/run/libvirt-sandbox', name, 'control');
    for (; !existsSync(join('/run/libvirt-sandbox', name, 'sandbox.json')); ) await delay(20);
    const code = `require('net').connect('${socket}').on('error', ({ code }) => console.log(code))`;
    assert.equal(
      execFileSync('setpriv', [...AS_ATTACKER.slice(1), process.execPath, '-e', code], { encoding: 'utf8' }),
      'EACCES\n',
    );
    assert.throws(() => plant('cat', join('/run/libvirt-sandbox', name, 'sandbox.json')));
    assert.equal((await outcome([], name))['connected'], `${root}\n`);
    running.child.stdin?.end();
    assert.equal((await running.result).code, 0);
    await assertNothingLeft(name);
  });

  it("does nothing to root's terminal by its log", async (t) => {
    plant('mkdir', '-p', state);
    t.after(() => plant('rm', '-rf', state));
    plant('sh', '-ec', 'printf "$1" >"$0/log"', state, '2026-01-01T00:00:00.000Z stdout F a\\033[2Jb\\n');
    const [words, how] = [['logs', 'nobody/talk'], { through: withAttackersHome() }];
    const terminal = ctlAtTerminal(t, words, { rows: 24, columns: 80 }, how);
    await terminal.until(/a\\u\{1b\}\[2Jb\r\n/);
    await terminal.exited();
    // Into a file it goes as it is.
    assert.equal(await said(words, how), 'a\u001b[2Jb\n');
  });

  it('leads root nowhere', async (t) => {
    const service = join(ground, 'other-service');
    let connections = 0;
    const server = createServer(() => {
      connections += 1;
    });
    await new Promise<void>((resolve) => server.listen(service, resolve));
    t.after(() => server.close());
    chmodSync(service, 0o777);
    const record = {
      version: 1,
      name: 'talk',
      uuid: '00000000-0000-4000-8000-000000000000',
      pid: 1,
      created: '2026-01-01T00:00:00.000Z',
    };
    const rest = {
      platform: 'machine',
      connection: 'embedded',
      memory: 1,
      vcpus: 1,
      command: [],
      detached: true,
      root: '/',
      mounts: [],
    };
    const identity = { uid: 0, gid: 0, groups: [], username: 'root', home: '/' };
    const guest = { platform: 'machine', hostname: 'x', identity, privileged: true, environment: [] };
    const json = JSON.stringify({ ...record, ...rest, guest });
    const name = 'nobody/talk';
    const attempts: readonly [readonly (readonly string[])[], RegExp][] = [
      [
        [
          ['ln', '-s', '/etc/shadow', 'sandbox.json'],
          ['ln', '-s', '/etc/shadow', 'log'],
        ],
        /its record is not readable/,
      ],
      [[['mkfifo', 'sandbox.json', 'log', 'owner']], /its record is not readable/],
      [
        [
          ['sh', '-c', `echo '${json}' >sandbox.json`],
          ['ln', '-s', service, 'control'],
        ],
        /there is no socket/,
      ],
    ];
    for (const [commands, why] of attempts) {
      plant('mkdir', '-p', state);
      for (const command of commands) plant('sh', '-ec', 'cd "$0"; exec "$@"', state, ...command);
      const found = await outcome(withAttackersHome(), name);
      assert.match(String(found['connected']), why);
      assert.match(String(found['logged']), /^no-log: /);
      plant('rm', '-rf', state);
    }
    assert.equal(connections, 0);
  });
});
