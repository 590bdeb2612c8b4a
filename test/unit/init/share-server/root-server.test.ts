/** The server of a sandbox's root, without a machine: its user and its walls, its end, and a QEMU that says anything. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { valueOr } from '../../../../src/util/errors.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const OWNER = '70123:70124';

/** Executes a command with descriptor 9 listening. $1: path of the socket. */
const LISTENING = `use Socket; $^F = 20; my $s; my $at = pack_sockaddr_un(shift @ARGV);
socket($s, AF_UNIX, SOCK_STREAM, 0) && bind($s, $at) && listen($s, 1) or die $!;
POSIX::dup2(fileno($s), 9) or die $!; close $s; open(STDIN, '<', '/dev/null'); exec @ARGV;`;

const read = (path: string) => valueOr(() => readFileSync(`/proc/${path}`, 'latin1'), '');

/** The words that run it by a link with that owner. */
function rootServer(t: TestContext, owner = OWNER, ...more: readonly string[]) {
  const directory = scratchDirectory(t);
  const link = join(directory, 'root-server');
  const socket = join(directory, 'socket');
  symlinkSync(hostProgram('share-server'), link);
  spawnSync('chown', ['-h', owner, link]);
  const command = [link, '--fd=9', '--shared-dir', '/etc', '--sandbox', 'chroot', ...more];
  return { directory, socket, link, words: ['-MPOSIX', '-e', LISTENING, socket, ...command] };
}

/** A server with a connection to it, as QEMU has one. */
async function connected(t: TestContext) {
  const { words, socket: path } = rootServer(t);
  const server = spawn('perl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => server.kill('SIGKILL'));
  let said = '';
  server.stderr.on('data', (data) => {
    said += data;
  });
  const ended = once(server, 'close').then(([code, signal]) => ({ code, signal, said }));
  let socket: Socket | undefined;
  while (socket === undefined) {
    assert.deepEqual([server.exitCode, server.signalCode], [null, null], said);
    const attempt = createConnection(path);
    socket = await once(attempt, 'connect').then(
      () => attempt,
      () => sleep(5, undefined),
    );
  }
  socket.on('error', () => {});
  const connection = socket;
  t.after(() => connection.destroy());
  return { server, socket: connection, ended };
}

/** The process that serves: the first one's child, when it has become the user. */
async function serving(pid: number | undefined): Promise<number> {
  const child = () => read(`${pid}/task/${pid}/children`).trim();
  const isUser = (id: number | string | undefined) => /^Uid:\t70123\t/m.test(read(`${id}/status`));
  while (child() === '' || !isUser(child()) || !isUser(pid) || !/^Seccomp:\t2$/m.test(read(`${child()}/status`))) {
    assert.notEqual(read(`${pid}/status`), '', 'it runs');
    await sleep(5);
  }
  return Number(child());
}

async function ends(pid: number): Promise<void> {
  while (/^State:\t[^Z]/m.test(read(`${pid}/status`))) await sleep(5);
}

/** A message of vhost-user. */
function message(kind: number, body: Buffer = Buffer.alloc(0), { flags = 1, bytes = body.length } = {}): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE(flags, 4);
  header.writeUInt32LE(bytes, 8);
  return Buffer.concat([header, body]);
}

const number = (value: bigint) => {
  const body = Buffer.alloc(8);
  body.writeBigUInt64LE(value);
  return body;
};

const skip = unlessRoot('it mounts') || unlessProgram('perl');

describe('the server of a root', { skip }, () => {
  it('is its owner, without a capability, in a root where there is only the share, and ends with what started it', async (t) => {
    const { server } = await connected(t);
    const pid = await serving(server.pid);
    for (const one of [pid, server.pid]) {
      const status = read(`${one}/status`);
      assert.match(status, /^Uid:(?:\t70123){4}$/m);
      assert.match(status, /^Gid:(?:\t70124){4}$/m);
      assert.match(status, /^Groups:\t *$/m);
      assert.equal(status.match(/^Cap(?:Inh|Prm|Eff|Bnd|Amb):\t0{16}$/gm)?.length, 5, status);
      assert.match(status, /^NoNewPrivs:\t1$/m);
    }
    assert.deepEqual(readdirSync(`/proc/${pid}/root`), ['share']);
    assert.ok(readdirSync(`/proc/${pid}/root/share`).includes('passwd'));
    server.kill('SIGKILL');
    await ends(pid);
  });

  it('stays for no one who was killed before it asked for its own end', {
    skip: unlessProgram('strace'),
  }, async (t) => {
    const { words, directory } = rootServer(t);
    const ids = join(directory, 'stopped');
    // The child stops when it gets its root, which is before it asks for its end with its parent. libvirt's is forked when
    // QEMU connects; root-view's at once, and has a signal for its parent's end.
    const traced = ['-f', '-qq', '-o', ids, '-e', 'inject=pivot_root:signal=SIGSTOP', '-e', 'trace=pivot_root'];
    const started = ['setpriv', '--pdeathsig', 'KILL', 'perl', ...words];
    const tracer = spawn('strace', [...traced, ...started], { stdio: 'ignore' });
    t.after(() => tracer.kill('SIGKILL'));
    const log = () => valueOr(() => readFileSync(ids, 'latin1'), '');
    const stopped = () => /^(\d+) +--- stopped by SIGSTOP/m.exec(log())?.[1];
    while (stopped() === undefined) {
      assert.deepEqual([tracer.exitCode, tracer.signalCode], [null, null], log());
      await sleep(5);
    }
    const child = Number(stopped());
    const parent = Number(/^PPid:\t(\d+)/m.exec(read(`${child}/status`))?.[1]);
    process.kill(parent, 'SIGKILL');
    while (existsSync(`/proc/${parent}`)) await sleep(5);
    process.kill(child, 'SIGCONT');
    t.after(() => {
      if (existsSync(`/proc/${child}`)) process.kill(child, 'SIGKILL');
    });
    await ends(child);
  });

  it('starts as nobody else, without namespaces, or with a cache of its own', (t) => {
    for (const owner of ['0:0', '0:70124', '70123:0']) {
      const { status, stderr } = spawnSync('perl', rootServer(t, owner).words, { encoding: 'utf8' });
      assert.equal(status, 126, owner);
      assert.match(stderr, /^share-server: .*root-server: Operation not permitted\n$/);
    }
    const limited = ['--bounding-set=-sys_admin', '--', 'perl', ...rootServer(t).words];
    assert.deepEqual(outcome('setpriv', limited), [
      126,
      "share-server: no namespaces for the root's server: Operation not permitted\n",
    ]);
    const { words } = rootServer(t, OWNER, '--cache=metadata');
    assert.deepEqual(outcome('perl', words), [126, 'share-server: metadata: Invalid argument\n']);
  });

  it('tells libvirt what it is', (t) => {
    const { stdout } = spawnSync(rootServer(t).link, ['--print-capabilities'], { encoding: 'utf8' });
    assert.deepEqual(JSON.parse(stdout), { type: 'fs', features: ['separate-options'] });
  });

  it('answers QEMU, and ends when that does', async (t) => {
    const { socket, ended } = await connected(t);
    socket.write(message(1));
    const [reply] = (await once(socket, 'data')) as [Buffer];
    assert.deepEqual([reply.readUInt32LE(0), reply.readUInt32LE(4), reply.length], [1, 5, 20]);
    // VIRTIO_F_VERSION_1 and VHOST_USER_F_PROTOCOL_FEATURES
    assert.equal(reply.readBigUInt64LE(12) & 0x1_4000_0000n, 0x1_4000_0000n);
    socket.write(message(16, number(8n)));
    // One that needs a reply.
    socket.write(message(3, undefined, { flags: 9 }));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.deepEqual([answer.readUInt32LE(0), answer.readBigUInt64LE(12)], [3, 0n]);
    socket.end();
    assert.deepEqual(await ended, { code: 0, signal: null, said: '' });
  });

  for (const [what, sent, said] of [
    ['of another version', message(1, undefined, { flags: 2 }), 'a message is of another version'],
    ['longer than any', message(1, undefined, { bytes: 1 << 20 }), 'a message has more than its descriptors or bytes'],
    ['without its number', message(2), 'a message is too short'],
    ['with a feature that was not offered', message(2, number(1n)), 'features that were not offered are wanted'],
    ['of a ring that there is not', message(18, number(7n)), 'a message is of a ring that there is not'],
    ['of a kind that there is not', message(6), 'a message is of a kind that was not agreed on'],
    ['of memory without a file', message(5, number(1n)), 'a table of memory has another number of files'],
    ['of a kick without a descriptor', message(12, number(1n)), 'a message has no descriptor'],
    ['of a ring of three', message(8, number((3n << 32n) | 1n)), 'a ring has a size that no ring has'],
  ] as const)
    it(`ends with one line for a message ${what}`, async (t) => {
      const { socket, ended } = await connected(t);
      socket.write(sent);
      const line = `share-server: QEMU or its guest breaks the protocol: ${said}\n`;
      assert.deepEqual(await ended, { code: 1, signal: null, said: line });
    });
});

function outcome(program: string, words: readonly string[]): [number | null, string] {
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  return [status, stderr];
}
