/**
 * Promise: a sandbox with a sound card is heard, and hears nothing; its QEMU reaches no sound server; and what is inside
 * neither fills nor keeps a place at the server of its user. The attackers are root inside, QEMU itself, asked through
 * its monitor, and whoever kills the launcher.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, leftAtLast, processesWith, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { environment, runSandbox, startSandbox } from '../helpers/run.js';
import { PATIENTLY, SoundServer, toneFile, unlessSound } from '../helpers/sound-server.js';

/** A stream for as long as the sandbox runs. */
const PLAY = ['aplay', '-q', '-D', 'plughw:0', '-t', 'raw', '-r', '48000', '-c', '2', '-f', 'S16_LE', '/dev/zero'];

/** Streams that begin and end all the time, of more samples than anybody has. */
const FLOOD = `for number in 1 2 3 4; do
    (while :; do head -c 800000 /dev/zero | aplay -q -D plughw:0 -t raw -r 192000 -c 2 -f S32_LE -; done) 2>/dev/null &
  done; echo up; while :; do sleep 1000; done`;

/** How often the server is looked at meanwhile. */
const LOOKS = 40;
const MOST_MORE_MEMORY = 64 * 1024;

describe('a guest that plays', { skip: embedded.skip || unlessSound() }, () => {
  it('leaves no stream when its launcher is killed', async (t) => {
    const server = await SoundServer.start();
    t.after(() => server.end());
    const name = uniqueName();
    const words = ['-c', embedded.uri, ...ACCEL, '-n', name, '--sound', '--', ...PLAY];
    const running = startSandbox(words, { env: { XDG_RUNTIME_DIR: server.directory } });
    await server.untilStreams(1);
    process.kill(running.pid, 'SIGKILL');
    await running.result;
    await server.untilStreams(0);
    assert.doesNotMatch(await server.ask('list', 'clients'), /virt-sandbox/);
    assert.deepEqual(await leftAtLast(() => processesWith(name)), []);
  });

  it('has one stream at most, and costs no memory, however it floods its card', async (t) => {
    const server = await SoundServer.start();
    t.after(() => server.end());
    const words = ['-c', embedded.uri, ...ACCEL, '-p', '--sound', '--', 'sh', '-c', FLOOD];
    const running = startSandbox(words, { env: { XDG_RUNTIME_DIR: server.directory } });
    t.after(() => running.child.kill('SIGTERM'));
    await running.until(/^up\n/);
    await server.untilStreams(1);
    const before = memoryOf(running.pid);
    for (let look = 0; look < LOOKS; look += 1) assert.ok((await server.streams()) <= 1);
    assert.ok(memoryOf(running.pid) - before < MOST_MORE_MEMORY);
    running.child.kill('SIGTERM');
    await running.result;
    await server.untilStreams(0);
  });

  it('plays on when the server ends and another one starts, and says so', async (t) => {
    const first = await SoundServer.start();
    const name = uniqueName();
    const words = ['-c', embedded.uri, ...ACCEL, '-n', name, '--sound', '--', ...PLAY];
    const running = startSandbox(words, { env: { XDG_RUNTIME_DIR: first.directory } });
    t.after(() => running.child.kill('SIGTERM'));
    await first.untilStreams(1);
    const { directory } = first;
    await first.endDaemon();
    await running.untilError(/the sandbox is silent for now: the sound server has ended/);
    const second = await SoundServer.start(undefined, directory);
    t.after(async () => {
      await second.end();
      await first.end();
    });
    await second.untilStreams(1);
    running.child.kill('SIGTERM');
    await running.result;
  });
});

describe("an ordinary user's sound server", { skip: unlessOrdinaryUser() || unlessSound() }, () => {
  it('is out of reach for a QEMU that was taken over, and root is not led to it', async (t) => {
    const user = await OrdinaryUser.create();
    t.after(() => user.end());
    const server = await SoundServer.start(user);
    t.after(() => server.end());
    const name = uniqueName();
    const words = ['-c', 'qemu:///session', ...ACCEL, '-n', name, '--sound', '--', ...PLAY];
    const running = startSandbox(words, user.options);
    t.after(() => running.child.kill('SIGTERM'));
    await server.untilStreams(1);

    const path = join(server.directory, 'pulse/native');
    const device = { type: 'socket', data: { server: false, addr: { type: 'unix', data: { path } } } };
    const command = { execute: 'chardev-add', arguments: { id: 'attack', backend: device } };
    const [program = '', ...rest] = [...(user.options.through ?? []), 'virsh', '-q', '-c', 'qemu:///session'];
    const args = [...rest, 'qemu-monitor-command', name, JSON.stringify(command)];
    const reply = execFileSync(program, args, { encoding: 'utf8', env: environment(user.options.env) });
    assert.match(reply, /Permission denied/);
    running.child.kill('SIGTERM');
    await running.result;
    await server.untilStreams(0);
    await assertNothingLeft(name, exceptLogs(user.where));

    // Everything of this user is open to root, who may have XDG_RUNTIME_DIR of whoever ran sudo.
    assert.ok(existsSync(path));
    const recording = await server.record();
    const asRoot = [
      '-c',
      'qemu:///embed',
      ...ACCEL,
      '-v',
      '--sound',
      '--',
      'aplay',
      '-q',
      PATIENTLY,
      '-D',
      'plughw:0',
      '-',
    ];
    const options = { env: { XDG_RUNTIME_DIR: server.directory }, input: toneFile(1000, 1) };
    const { code, stderr } = await runSandbox(asRoot, options);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /: sound: silent, because the sound server at .* is that of the user 65534; unset/);
    await recording.untilLonger(25);
    assert.equal(recording.loudest, 0);
  });
});

/** What a process has in memory, in KiB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
