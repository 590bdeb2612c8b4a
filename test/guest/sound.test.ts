/** What a sandbox plays, a sound server of the host plays: over every way to libvirt, and silently where there is none. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, assertRun, PROGRAM, runSandbox, startSandbox } from '../helpers/run.js';
import { DEBIAN_CLOUD_KERNEL, unlessInstalled } from '../helpers/scratch.js';
import { copySnapshot, privateStore } from '../helpers/snapshots.js';
import { PATIENTLY, PLAY_INPUT, playUntilHeard, SoundServer, toneFile, unlessSound } from '../helpers/sound-server.js';

const PLAY = ['aplay', '-q', PATIENTLY, '-'];
const SILENT = ['sh', '-c', `aplay -q ${PATIENTLY} -D plughw:0 - && arecord -l`];

describe('an ordinary user', { skip: unlessOrdinaryUser() || unlessSound() }, () => {
  let user: OrdinaryUser;
  let server: SoundServer;
  before(async () => {
    user = await OrdinaryUser.create();
    server = await SoundServer.start(user);
  });
  after(async () => {
    await server.end();
    await user.end();
  });

  for (const uri of ['qemu:///session', 'qemu:///embed'])
    it(`hears over ${uri} what a sandbox plays`, async (t) => {
      const recording = await server.record();
      const name = uniqueName();
      const words = ['-c', uri, ...ACCEL, '-v', '-n', name, '--sound', '--', ...PLAY_INPUT];
      const running = startSandbox(words, { ...user.options, input: 'open' });
      t.after(() => running.child.kill('SIGTERM'));
      const result = await playUntilHeard(running, server, recording);
      assert.equal(result.code, 0, result.stderr);
      assert.match(result.stderr, /: sound: played by the server at .*\/run\/pulse\/native$/m);
      await server.untilStreams(0);
      await assertNothingLeft(name, exceptLogs(user.where));
    });

  it('cannot record: there is no microphone, and nobody listens to that of the host', async (t) => {
    await server.plantSource(440);
    const recording = await server.record();
    const recorders = await server.ask('list', 'short', 'source-outputs');
    const script =
      'arecord -l; arecord -q -D plughw:0 -d 1 /tmp/heard; echo $?; ls /tmp /dev/snd; echo done; read -r line';
    const words = ['-c', 'qemu:///embed', ...ACCEL, '--sound', '--', 'sh', '-c', script];
    const running = startSandbox(words, { ...user.options, input: 'open' });
    t.after(() => running.child.kill('SIGTERM'));
    await running.until(/^done\n/m);
    assert.match(running.out(), /^\*\*\*\* List of CAPTURE Hardware Devices \*\*\*\*\n1\n/);
    assert.doesNotMatch(running.out(), /heard|pcmC0D0c/);
    assert.equal(await server.ask('list', 'short', 'source-outputs'), recorders);
    assert.equal(recording.loudest, 0);
    running.child.stdin?.end();
    assert.equal((await running.result).stderr.match(/audio open error: No such file or directory/)?.length, 1);
  });
});

for (const way of [embedded, system])
  describe(`root over ${way.uri}`, { skip: way.skip || unlessSound() }, () => {
    it("hears what another user inside plays, on the server of root's own", async (t) => {
      const server = await SoundServer.start();
      t.after(() => server.end());
      const recording = await server.record();
      const name = uniqueName();
      const words = ['-c', way.uri, ...ACCEL, '-n', name, '-S', 'nobody', '--sound', '--', ...PLAY_INPUT];
      const running = startSandbox(words, { env: { XDG_RUNTIME_DIR: server.directory }, input: 'open' });
      t.after(() => running.child.kill('SIGTERM'));
      const result = await playUntilHeard(running, server, recording);
      assert.equal(result.code, 0, result.stderr);
      assert.doesNotMatch(result.stderr, /virt-sandbox: warning/);
      await server.untilStreams(0);
      await assertNothingLeft(name, way.where);
    });
  });

describe('a sandbox with a sound card', { skip: embedded.skip || unlessSound() }, () => {
  const { env, remove } = privateStore();
  after(remove);
  const run = (words: readonly string[], more: Record<string, string | undefined> = {}, input = toneFile(1000, 1)) =>
    runSandbox(['-c', embedded.uri, ...ACCEL, ...words], { env: { ...env, ...more }, input });
  const start = (words: readonly string[], { directory }: SoundServer) =>
    startSandbox(['-c', embedded.uri, ...ACCEL, ...words], {
      env: { ...env, XDG_RUNTIME_DIR: directory },
      input: 'open',
    });

  it('boots, since no snapshot can have one, and leaves snapshots to others', async () => {
    await copySnapshot(['-c', embedded.uri], env);
    assertRun(await run(['--boot', 'warm', '--', 'true']), 0, '');
    const failed = await run(['--boot', 'warm', '--sound', '--', 'true']);
    assertFailure(failed, /no snapshot serves .* it has a sound card, which QEMU cannot save; leave out --boot warm/);
    assert.match((await run(['-v', '--sound', '--', 'true'])).stderr, /boot: cold, because it has a sound card/);
  });

  it('has a screen too', async (t) => {
    const server = await SoundServer.start();
    t.after(() => server.end());
    const recording = await server.record();
    const running = start(['--graphics=none,compositor=none', '--sound', '--', ...PLAY_INPUT], server);
    t.after(() => running.child.kill('SIGTERM'));
    const { code, stderr } = await playUntilHeard(running, server, recording);
    assert.equal(code, 0, stderr);
  });

  it('is silent where there is no server, and says so', async (t) => {
    const directory = mkdtempSync('/var/tmp/virt-sandbox-test-');
    t.after(() => rmSync(directory, { recursive: true }));
    const said = async (runtime: string | undefined) => {
      const result = await run(['-v', '--sound', '--', ...SILENT], { XDG_RUNTIME_DIR: runtime });
      assert.equal(result.code, 0, result.stderr);
      return result.stderr;
    };
    assert.match(await said(undefined), /: sound: silent, because XDG_RUNTIME_DIR, .* is not set; start PulseAudio/);
    assert.match(
      await said(directory),
      /: sound: silent, because no sound server answers: .*ENOENT.*; start PulseAudio/,
    );
    writeFileSync(join(directory, 'pipewire-0'), '');
    assert.match(await said(directory), /: sound: silent, because PipeWire runs without pipewire-pulse/);
    const quiet = await run(['--sound', '--', ...PLAY], { XDG_RUNTIME_DIR: directory });
    assert.equal(quiet.code, 0, quiet.stderr);
    assert.doesNotMatch(quiet.stderr, /virt-sandbox/);
  });

  it('belongs to its user, and to nobody else inside', async () => {
    const stat = 'stat -c "%a %u %n" /dev/snd/*';
    const nodes = ['controlC0', 'pcmC0D0p', 'timer'];
    const lines = (uid: number) => nodes.map((name) => `600 ${uid} /dev/snd/${name}\n`).join('');
    assertRun(await run(['-S', 'nobody', '--sound', '--', 'sh', '-c', stat]), 0, lines(65_534));
    const other = 'setpriv --reuid=1234 --clear-groups sh -c "cat </dev/snd/controlC0 || cat </dev/snd/pcmC0D0p"';
    const refused = await run(['-p', '--sound', '--', 'sh', '-c', `${stat}; ${other}`]);
    assert.equal(refused.out, lines(0));
    assert.match(refused.stderr, /controlC0: Permission denied(.|\n)*pcmC0D0p: Permission denied/);
  });

  it('is the same where the common init runs in the guest', async (t) => {
    const server = await SoundServer.start();
    t.after(() => server.end());
    const output = join(mkdtempSync('/var/tmp/virt-sandbox-test-'), 'image');
    t.after(() => rmSync(join(output, '..'), { recursive: true }));
    const bake = ['create', '--common-init', 'guest', '--for', '--sound', '--output', output];
    assert.equal((await runSandbox(bake, { env, program: `${PROGRAM}-bake` })).code, 0);
    const recording = await server.record();
    const running = start(['--image', output, '--sound', '--', ...PLAY_INPUT], server);
    t.after(() => running.child.kill('SIGTERM'));
    const { code, stderr } = await playUntilHeard(running, server, recording);
    assert.equal(code, 0, stderr);
  });

  it('needs a kernel with virtio sound', { skip: unlessInstalled(DEBIAN_CLOUD_KERNEL) }, async () => {
    const failed = await run(['--kernver', DEBIAN_CLOUD_KERNEL, '--sound', '--', 'true']);
    assertFailure(failed, /has no virtio sound card, neither built in nor as a module/, /use kernel/);
  });

  it('is no container', { skip: lxc.skip }, async () => {
    const container = await runSandbox(['-c', lxc.uri, '--sound', '--', 'true'], lxc.options);
    assertFailure(container, /--sound gives a machine a sound card/);
  });

  it('loads its modules, and no other sandbox does', async () => {
    const loaded = 'grep -c snd /proc/modules; true';
    const buffer = 'cat /sys/module/virtio_snd/parameters/pcm_buffer_ms';
    assertRun(await run(['--boot', 'cold', '--sound', '--', 'sh', '-c', `${loaded}; ${buffer}`]), 0, '5\n1000\n');
    assertRun(await run(['--boot', 'cold', '--', 'sh', '-c', loaded]), 0, '0\n');
  });
});
