/**
 * Promise: an ordinary user's QEMU that its guest has taken over has less than the user: it changes no file but what the
 * sandbox may write to, reads no key and no process of the user's, and connects to nothing.
 * The attacker is QEMU itself, asked through its monitor. The victims are files, a process and servers of the user's.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it, type TestContext } from 'node:test';
import { hostProgram } from '../../src/util/programs.js';
import { ACCEL } from '../helpers/acceleration.js';
import { mounted } from '../helpers/hide.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { environment, PROGRAM, type Running, runSandbox, startSandbox } from '../helpers/run.js';

/** A command of QMP: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html */
type Command = Readonly<Record<string, unknown>>;
/** Undefined: it was carried out. */
type Refusal = string | undefined;

interface Machine {
  readonly name: string;
  readonly running: Running;
  readonly state: string;
  /** The version of Landlock that confines its QEMU; undefined: the sandbox has none by choice. */
  readonly landlock: number | undefined;
}

const skip = unlessOrdinaryUser();
const REFUSED = /Permission denied|Operation not permitted/;
/** The version of Landlock that refuses paths. What has none is refused by a filter of system calls. */
const SINCE_FILES = 2;

describe("an ordinary user's QEMU", { skip }, () => {
  let user: OrdinaryUser;
  let unconfined = '';

  before(async () => {
    user = await OrdinaryUser.create();
    for (const name of ['data', '.ssh']) mkdirSync(join(user.home, name));
    writeFileSync(join(user.home, '.ssh/id_ed25519'), 'secret', { mode: 0o600 });
    writeFileSync(join(user.home, '.bashrc'), 'true\n');
    // Arguments that name files are the user's own choice, and QEMU is not confined then. This one is none.
    unconfined = join(user.home, 'profile.json');
    const words = ['-fw_cfg', 'name=opt/any,string=word'];
    writeFileSync(
      unconfined,
      JSON.stringify({ format: 1, name: 'free', description: 'free', extends: 'fast', qemuArguments: words }),
    );
    for (const name of ['', 'data', '.ssh', '.ssh/id_ed25519', '.bashrc'])
      chownSync(join(user.home, name), user.uid, user.gid);
  });
  after(() => user.end());

  async function start(t: TestContext, uri: string, options: readonly string[]): Promise<Machine> {
    const name = uniqueName();
    const bind = ['-m', `host-bind:/mnt=${join(user.home, 'data')}`];
    // The guest sees the view, and writes through QEMU.
    const script = 'test -r /etc/passwd && echo word >/mnt/written && echo up && read line';
    const args = ['-c', uri, ...ACCEL, '-n', name, ...bind, ...options, '--', 'sh', '-c', script];
    const running = startSandbox(args, { ...user.options, input: 'open' });
    t.after(() => running.child.kill('SIGTERM'));
    await running.until(/^up\n/);
    const state = join(user.home, '.cache/libvirt-sandbox', name);
    const isConfined = readdirSync(state).includes('wall');
    const landlock = isConfined ? Number(readFileSync(join(state, 'wall.landlock'), 'utf8')) : undefined;
    return { name, running, state, landlock };
  }

  const drivers = {
    'qemu:///session': ({ name }: Machine, commands: readonly Command[]) =>
      commands.map((command): Refusal => {
        const [program = '', ...words] = [...(user.options.through ?? []), 'virsh', '-q', '-c', 'qemu:///session'];
        const args = [...words, 'qemu-monitor-command', name, JSON.stringify(command)];
        const reply = execFileSync(program, args, { encoding: 'utf8', env: environment(user.options.env) });
        return refusalOf(reply);
      }),
    'qemu:///embed': askEmbedded,
  };

  for (const [uri, ask] of Object.entries(drivers)) {
    it(`has less than its user over ${uri}`, async (t) => {
      const victims = await plant(t, user);
      // One that boots, and one that is restored.
      const confined = await start(t, uri, ['--boot', uri === 'qemu:///embed' ? 'auto' : 'cold']);
      const { landlock } = confined;
      const attacks = attacksOn(user.home, victims, confined.state);
      assert.ok(landlock !== undefined, 'it has the rules');
      const refusals = await ask(
        confined,
        attacks.map(({ command }) => command),
      );
      for (const [index, { name, since }] of attacks.entries()) {
        if (since !== undefined && landlock >= since) assert.match(refusals[index] ?? 'done', REFUSED, name);
        else assert.equal(refusals[index], undefined, name);
      }
      assert.equal(readFileSync(join(user.home, '.bashrc'), 'utf8'), landlock >= SINCE_FILES ? 'true\n' : '');
      await end(confined, user);
      writeFileSync(join(user.home, '.bashrc'), 'true\n');
    });
  }

  it('has as much as its user without the wall, so the attacks are attacks', async (t) => {
    const [uri, ask] = ['qemu:///session', drivers['qemu:///session']] as const;
    const victims = await plant(t, user);
    const free = await start(t, uri, ['--profile', unconfined]);
    assert.equal(free.landlock, undefined);
    const commands = attacksOn(user.home, victims, free.state).map(({ command }) => command);
    assert.deepEqual(
      await ask(free, commands),
      commands.map(() => undefined),
      'without the wall',
    );
    await end(free, user);
    writeFileSync(join(user.home, '.bashrc'), 'true\n');
  });

  it('runs where the kernel has no Landlock, and -v says so', { skip: unlessProgram('enosys') }, async () => {
    const { through = [] } = user.options;
    const without = [...through, 'enosys', '-s', 'landlock_create_ruleset', '--'];
    const args = ['-c', 'qemu:///embed', ...ACCEL, '-v', '--', 'echo', 'word'];
    const { out, stderr } = await runSandbox(args, { ...user.options, through: without });
    assert.equal(out, 'word\n');
    assert.match(
      stderr,
      /: security: QEMU can do what its user can with files and processes, because .* no Landlock$/m,
    );
  });

  it('does not run if libvirt starts another one', async () => {
    const { through = [], program } = user.options;
    const name = uniqueName();
    // QEMU as it is, in place of what confines it.
    const script = join(user.home, 'any-qemu');
    writeFileSync(script, '#!/bin/sh\nexec /usr/bin/qemu-system-x86_64 "$@"\n', { mode: 0o755 });
    const prefix = join(user.home, 'prefix/lib/virt-sandbox/dist/native/qemu-wall');
    const wall = program === PROGRAM ? hostProgram('qemu-wall') : prefix;
    const args = ['-c', 'qemu:///embed', ...ACCEL, '--boot', 'cold', '-n', name, '--', 'echo', 'word'];
    const instead = [...mounted(`mount --bind '${script}' '${wall}'`), ...through];
    const { code, out, stderr } = await runSandbox(args, { ...user.options, through: instead });
    assert.equal(out, '');
    assert.match(stderr, /: domain: libvirt started another QEMU than .*\/qemu-wall, which would have confined it; /);
    assert.equal(code, 125);
    await assertNothingLeft(name, exceptLogs(user.where));
  });
});

interface Victims {
  readonly pid: number;
  readonly port: number;
  /** The path of a socket in the user's runtime directory, where the bus of a session is. */
  readonly socket: string;
  /** A name that is no path. */
  readonly abstract: string;
}

/** A file in a directory that everybody may write to. */
const shared = (name: string) => `/var/tmp/${name}`;

/** A process of the user's, and servers. */
async function plant(t: TestContext, user: OrdinaryUser): Promise<Victims> {
  const [program = '', ...words] = [...(user.options.through ?? []), 'cat'];
  const process = spawn(program, words, { env: { SECRET: 'word' }, stdio: ['pipe', 'ignore', 'ignore'] });
  t.after(() => process.stdin.end());
  await once(process, 'spawn');
  const serve = async (address: { readonly port: number } | { readonly path: string }) => {
    const server = createServer((connection) => connection.on('error', () => {}));
    t.after(() => server.close());
    await once(server.listen({ host: '127.0.0.1', ...address }), 'listening');
    return server;
  };
  const { port } = (await serve({ port: 0 })).address() as AddressInfo;
  const abstract = uniqueName();
  t.after(() => rmSync(shared(abstract), { force: true }));
  const socket = join(user.home, 'run', abstract);
  await serve({ path: socket });
  chmodSync(socket, 0o666);
  await serve({ path: `\0${abstract}` });
  return { pid: process.pid ?? 0, port, socket, abstract };
}

/** @returns what works without the wall; `since` is the version of Landlock that refuses it, undefined: none does */
function attacksOn(home: string, { pid, port, socket, abstract }: Victims, state: string) {
  let number = 0;
  const device = (type: string, data: unknown): Command => {
    number += 1;
    return { execute: 'chardev-add', arguments: { id: `attack${number}`, backend: { type, data } } };
  };
  const write = (path: string) => device('file', { out: path });
  const read = (path: string) => device('file', { in: path, out: '/dev/null' });
  const reach = (type: string, data: unknown) => device('socket', { server: false, addr: { type, data } });
  // Node.js fills such a name up with zeros.
  const unnamed = { path: abstract, abstract: true, tight: false };
  const listen = { host: '127.0.0.1', port: '0' };
  const dump = (path: string) => ({
    execute: 'dump-guest-memory',
    arguments: { paging: false, protocol: `file:${path}` },
  });
  const files = SINCE_FILES;
  return [
    { name: 'a file that it has', since: undefined, command: read('/etc/passwd') },
    { name: 'the directory of the mount', since: undefined, command: write(`${home}/data/made`) },
    { name: 'a new file', since: files, command: dump(`${home}/${abstract}`) },
    { name: 'a file of the user', since: files, command: write(`${home}/.bashrc`) },
    { name: 'another directory that all may write to', since: files, command: write(shared(abstract)) },
    { name: 'a key', since: files, command: read(`${home}/.ssh/id_ed25519`) },
    // The view is mounted in a copy of all mounts.
    { name: 'a key, beside the view', since: files, command: read(`${state}/root/../..${home}/.ssh/id_ed25519`) },
    { name: 'the environment of a process', since: files, command: read(`/proc/${pid}/environ`) },
    { name: 'the command line of a process', since: files, command: read(`/proc/${pid}/cmdline`) },
    { name: 'a server', since: 0, command: reach('inet', { host: '127.0.0.1', port: String(port) }) },
    {
      name: 'a server of its own',
      since: 0,
      command: device('socket', { server: true, wait: false, addr: { type: 'inet', data: listen } }),
    },
    { name: 'a socket with a path', since: 0, command: reach('unix', { path: socket }) },
    { name: 'a socket without a path', since: 0, command: reach('unix', unnamed) },
  ];
}

function refusalOf(reply: string): Refusal {
  const { error } = JSON.parse(reply) as { readonly error?: { readonly desc: string } };
  return error?.desc;
}

/**
 * Takes QEMU's monitor over from libvirt's driver, which serves nobody else: the driver is killed, and who would notice
 * is stopped meanwhile.
 */
async function askEmbedded({ name, state }: Machine, commands: readonly Command[]): Promise<Refusal[]> {
  const [line = ''] = processesWith(state).filter((each) => each.includes(` ${hostProgram('supervisor')} `));
  const supervisor = Number.parseInt(line, 10);
  const driver = Number(execFileSync('pgrep', ['-x', '-P', String(supervisor), 'virt-qemu-run'], { encoding: 'utf8' }));
  process.kill(supervisor, 'SIGSTOP');
  // A path that is short enough for a socket.
  const directory = await open(join(state, 'libvirt/lib/qemu', `domain-1-${name}`));
  try {
    process.kill(driver, 'SIGKILL');
    return await talk(`/proc/self/fd/${directory.fd}/monitor.sock`, commands);
  } finally {
    await directory.close();
    process.kill(supervisor, 'SIGCONT');
  }
}

async function talk(path: string, commands: readonly Command[]): Promise<Refusal[]> {
  const socket = connect(path);
  const replies: Refusal[] = [];
  const waiting = [{ execute: 'qmp_capabilities' }, ...commands];
  for await (const line of createInterface({ input: socket })) {
    if (/^\{"(?:return|error)"/.test(line)) replies.push(refusalOf(line));
    else if (!line.includes('"QMP"')) continue;
    const next = waiting.shift();
    if (next === undefined) break;
    socket.write(`${JSON.stringify(next)}\n`);
  }
  socket.destroy();
  return replies.slice(1);
}

async function end({ name, running }: Machine, user: OrdinaryUser): Promise<void> {
  running.child.stdin?.end('\n');
  await running.result;
  await assertNothingLeft(name, exceptLogs(user.where));
}
