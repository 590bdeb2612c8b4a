/** Roots of virt-builder's templates: with the real one, which starts libguestfs' machine twice for each. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedded } from '../helpers/connections.js';
import { FullDisk } from '../helpers/full-disk.js';
import { hidden, programPaths } from '../helpers/hide.js';
import { processesWith } from '../helpers/leftovers.js';
import { unlessImages } from '../helpers/oci/busybox.js';
import { type ImageProgram, imageProgram } from '../helpers/oci/image-program.js';
import {
  makeTemplates,
  sockets,
  socketsLeft,
  type TemplateHost,
  unlessVirtBuilder,
} from '../helpers/oci/virt-builder.js';
import { assertRun, type Running, type RunOptions, runSandbox } from '../helpers/run.js';

const NAME = 'virt-builder:///test-1';
/** In milliseconds, on a busy host where machines are emulated. */
const TIMEOUT = 600_000;

describe('virt-builder', {
  skip: embedded.skip || unlessImages() || unlessVirtBuilder(),
  timeout: 2_400_000,
}, () => {
  const ground = mkdtempSync('/var/tmp/virt-sandbox-templates-');
  let templates: TemplateHost;
  before(() => {
    chmodSync(ground, 0o755);
    templates = makeTemplates(ground);
  });
  after(() => rmSync(ground, { recursive: true, force: true }));

  /** The program with a store of its own; libguestfs' sockets are in /tmp, whatever TMPDIR says. */
  function own(context: TestContext, cache?: string): [ImageProgram, RunOptions] {
    const program = imageProgram(context);
    const env = { ...templates.env, ...(cache === undefined ? {} : { XDG_CACHE_HOME: cache }) };
    return [program, { env, timeout: TIMEOUT }];
  }

  /** Neither a process nor a file of a pull is left. */
  async function assertNothing(store: string): Promise<void> {
    assert.deepEqual(processesWith(store), []);
    assert.deepEqual(
      readdirSync(join(store, 'roots')).filter((name) => name.startsWith('.build')),
      [],
    );
    assert.deepEqual(readdirSync(join(store, 'partial')), []);
  }

  it('lists what it offers, and what is for another architecture', async (context) => {
    const [program, options] = own(context);
    const { code, out, stderr } = await program.run(['list', '-s', 'virt-builder'], options);
    const expected = [NAME, 'virt-builder:///far?arch=aarch64', 'virt-builder:///damaged'];
    assert.deepEqual([code, out, stderr], [0, `${expected.join('\n')}\n`, '']);
    const json = await program.run(['list', '-s', 'virt-builder', '--json'], options);
    assert.deepEqual(JSON.parse(json.out), expected);
    await assertNothing(program.store);
  });

  it('makes the root of a sandbox, with owners and capabilities', async (context) => {
    const before = sockets();
    const [program, options] = own(context);
    const { code, out, stderr } = await program.run(['prepare', NAME], options);
    assert.equal(code, 0, stderr);
    assert.match(out, /^virt-builder:\/\/\/test-1: pulled, \d+\.\d MB, sha256:[0-9a-f]{64}\n$/);
    await assertNothing(program.store);
    assert.deepEqual(await socketsLeft(before), []);
    const { out: listed } = await program.run(['list', '-q'], options);
    assert.equal(listed, `${NAME}\n`);
    // From here on nobody asks virt-builder, which is not there.
    const stored: RunOptions = {
      ...options,
      env: { ...options.env, XDG_CACHE_HOME: program.directory, LIBGUESTFS_PATH: '/nonexistent' },
      through: hidden(...programPaths('virt-builder', 'virt-tar-out')),
    };
    const script = [
      'grep PRETTY /etc/os-release; id -u; stat -c "%u %g" /srv/owned; stat -c "%a %u" /etc/shadow',
      'head -n 1 /etc/shadow; ls /boot',
    ].join('; ');
    const found = await program.run(['run', '-c', embedded.uri, NAME, '--', 'sh', '-c', script], stored);
    const lines = ['PRETTY_NAME="Test 12"', '0', '1234 1235', '640 0', 'root:*:19000:0:99999:7:::', 'vmlinuz'];
    assert.deepEqual([found.code, found.out], [0, `${lines.join('\n')}\n`], found.stderr);
    const mine = ['run', '-c', embedded.uri, '--user', 'web', NAME, '--', 'grep', 'CapEff', '/proc/self/status'];
    assert.equal((await program.run(mine, stored)).out, 'CapEff:\t0000000000000400\n');
    const words = ['-c', embedded.uri, '--root', 'virt-builder:/test-1', '--pull', 'never', '--', 'id', '-un'];
    assertRun(await runSandbox(words, stored), 0, 'root\n');
    const none = await program.run(['run', '-c', embedded.uri, NAME], stored);
    assert.equal(none.code, 125);
    assert.match(none.stderr, /names no command; name one behind --/);
    const { out: removed } = await program.run(['purge', NAME], options);
    assert.match(removed, /^virt-builder:\/\/\/test-1: removed, /);
  });

  it('says what is wrong with a template, and leaves nothing', async (context) => {
    const [program, options] = own(context);
    for (const [words, pattern] of [
      [['pull', 'virt-builder:///none'], /virt-builder failed for .*: cannot find os-version .none. with architecture/],
      [['pull', 'virt-builder:///far'], /: cannot find os-version .far. with architecture .x86_64./],
      [['pull', 'virt-builder:///damaged'], /virt-builder failed for .*checksum/i],
      [['pull', 'virt-builder:///far?arch=aarch64', '--platform', 'amd64'], /only for linux\/arm64; /],
      [
        ['run', '--pull', 'never', NAME, '--', 'true'],
        /'virt-builder:\/\/\/test-1' is not in the store for linux\/amd64/,
      ],
    ] as const)
      await program.fails(words, pattern, options);
    await assertNothing(program.store);
  });

  it('says that its sources cannot be asked', async (context) => {
    const [program, options] = own(context);
    const source = join(ground, 'config/virt-builder/repos.d/gone.conf');
    appendFileSync(source, `[gone]\nuri=file://${ground}/nowhere\n`);
    context.after(() => rmSync(source));
    for (const words of [
      ['pull', NAME],
      ['list', '-s', 'virt-builder'],
    ])
      await program.fails(words, /virt-builder failed for .*nowhere/, options);
  });

  for (const [what, phase] of [
    ['makes a disk', 'making a disk with virt-builder'],
    ['is read', 'reading the files of that disk'],
  ] as const)
    it(`ends at once with Ctrl+C while it ${what}, and leaves nothing`, async (context) => {
      const before = sockets();
      const [program, options] = own(context);
      const running = program.start(['pull', NAME], options);
      await running.untilError(new RegExp(phase));
      await untilMachine(program, running);
      running.child.kill('SIGINT');
      const { code, stderr } = await running.result;
      assert.deepEqual([code, stderr.split('\n').at(-2)], [130, `virt-sandbox-image: ${phase}`]);
      await assertNothing(program.store);
      assert.deepEqual(await socketsLeft(before), []);
    });

  for (const [what, end] of [
    // A terminal that is closed may send two. Two at once are often one when the program gets to them.
    ['SIGHUP, sent twice', ['SIGHUP', 'SIGHUP']],
    ['SIGKILL, when somebody prunes', ['SIGKILL']],
  ] as const)
    it(`ends with ${what}, and leaves nothing`, async (context) => {
      const before = sockets();
      const [program, options] = own(context);
      const running = program.start(['pull', NAME], options);
      await untilMachine(program, running);
      for (const signal of end) running.child.kill(signal);
      const { code } = await running.result;
      assert.equal(code, end.length === 2 ? 129 : null);
      if (code === null) await program.run(['prune'], options);
      await assertNothing(program.store);
      assert.deepEqual(await socketsLeft(before), []);
    });

  /** libguestfs has started QEMU. */
  async function untilMachine(program: ImageProgram, running: Running): Promise<void> {
    while (!processesWith(program.store).some((line) => line.includes('/qemu-system-'))) {
      assert.equal(running.child.exitCode, null, running.stderr());
      await sleep(50);
    }
  }

  it('says before it begins that the store has no room for its machine', async (context) => {
    await inSmallStore(context, '64m', async ([program, options]) => {
      await program.fails(['pull', NAME], /image: no space is left in .* for an image, which takes \d+ bytes/, options);
    });
  });

  it('says that the store has no room for its disk', async (context) => {
    // QEMU stops a machine whose disk is full, and libguestfs would wait for ever.
    const machine = join(ground, 'machine');
    mkdirSync(machine);
    const env = { ...templates.env, LIBGUESTFS_CACHEDIR: machine };
    execFileSync('guestfish', ['-a', '/dev/null', 'run'], { env: { ...process.env, ...env }, stdio: 'pipe' });
    await inSmallStore(context, '8m', async ([program, options]) => {
      const full = { ...options, env: { ...options.env, ...env } };
      await program.fails(
        ['pull', NAME],
        /image: no space is left in .* for an image: \d+ bytes are free, and 4194304 have to stay free; free/,
        full,
      );
    });
  });

  /** Runs `use` with a store on a disk of that size, and sees that nothing is left there. */
  async function inSmallStore(
    context: TestContext,
    size: string,
    use: (own: readonly [ImageProgram, RunOptions]) => Promise<void>,
  ): Promise<void> {
    const [before, { path: cache }] = [sockets(), new FullDisk(context, `size=${size}`)];
    await use(own(context, cache));
    await assertNothing(join(cache, 'virt-sandbox/oci'));
    assert.deepEqual(await socketsLeft(before), []);
  }
});
