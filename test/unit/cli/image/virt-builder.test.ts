/**
 * virt-sandbox-image where virt-builder is missing, hangs, writes without end, or gives what nobody should take. Scripts
 * are in its place: the real one cannot be made to do that. test/guest/images-virt-builder.test.ts has the real one.
 */
import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hidden, programPaths } from '../../../helpers/hide.js';
import { processesWith } from '../../../helpers/leftovers.js';
import { imageProgram } from '../../../helpers/oci/image-program.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import {
  assertNothingPulled,
  BUILD,
  onSmallDisk,
  untilMade,
  untilMadeBehind,
  untilRecorded,
  WAIT,
  withScripts,
} from '../../../helpers/oci/virt-builder-scripts.js';
import { unlessRoot } from '../../../helpers/scratch.js';

const NAME = 'virt-builder:///test-1';

describe('virt-builder', { timeout: 300_000 }, () => {
  it('is named, with its package, where it is missing', {
    skip: unlessRoot('hides programs behind mounts'),
  }, async (context) => {
    const program = imageProgram(context);
    const paths = programPaths('virt-builder');
    const options = paths.length === 0 ? {} : { through: hidden(...paths) };
    const missing = /: image: there is no virt-builder in PATH, .*; install it \(Debian: guestfs-tools/;
    for (const words of [
      ['pull', NAME],
      ['list', '-s', 'virt-builder'],
      ['run', NAME, '--', 'true'],
    ])
      await program.fails(words, missing, options);
    await assertNothingPulled(program);
  });

  it('makes no disk where virt-tar-out is missing', {
    skip: unlessRoot('hides programs behind mounts'),
  }, async (context) => {
    const [program, options] = withScripts(context, `echo ran >"$HOME/ran"; ${BUILD}`);
    rmSync(join(program.directory, 'bin/virt-tar-out'));
    const paths = programPaths('virt-tar-out');
    const missing = /: image: there is no virt-tar-out in PATH, .*; install it \(Debian: guestfish\)/;
    await program.fails(['pull', NAME], missing, { ...options, through: hidden(...paths) });
    assert.ok(!existsSync(join(program.directory, 'ran')));
    await assertNothingPulled(program);
  });

  it('gets words of ours only, and a directory in the store for its files', async (context) => {
    const script = `echo "$TMPDIR $LIBGUESTFS_BACKEND" >"$HOME/said"; echo "$@" >>"$HOME/said"; ${BUILD}; echo x >"$TMPDIR/left"`;
    const [program, options] = withScripts(context, script, 'echo "$@" >>"$HOME/said"; exit 1');
    await program.fails(
      ['pull', NAME, '--platform', 'arm64'],
      /virt-tar-out failed for virt-builder:\/\/\/test-1: /,
      options,
    );
    const said = readFileSync(join(program.directory, 'said'), 'utf8').replaceAll(/\/\S*\/\.build-[^/]*/g, 'SPACE');
    assert.equal(
      said,
      [
        'SPACE/tmp direct',
        'test-1 --arch aarch64 --output SPACE/disk.qcow2 --format qcow2 --root-password disabled --no-network --no-sync',
        '--format=qcow2 -a SPACE/disk.qcow2 / SPACE/root.tar numericowner:true xattrs:true',
        '',
      ].join('\n'),
    );
    await assertNothingPulled(program);
  });

  it('does not run as root with what another user may change', {
    skip: unlessRoot('is about root'),
  }, async (context) => {
    const [program, options] = withScripts(context, 'echo ran >"$HOME/ran"; exit 1');
    const theirs = join(program.directory, 'theirs');
    mkdirSync(theirs);
    chownSync(theirs, 1234, 1234);
    for (const [env, pattern] of [
      [{ XDG_CONFIG_HOME: theirs }, /: XDG_CONFIG_HOME has root keep its files in .* belongs to user 1234; unset/],
      [{ XDG_CONFIG_HOME: undefined, HOME: theirs }, /: HOME has root keep its files in .* belongs to user 1234; set/],
      [{ LIBGUESTFS_PATH: `/usr/lib:${theirs}/x` }, /: LIBGUESTFS_PATH has root use .* belongs to user 1234; unset/],
      [{ VIRT_BUILDER_DIRS: theirs }, /: VIRT_BUILDER_DIRS has root use .* belongs to user 1234; unset/],
    ] as const)
      for (const words of [
        ['pull', NAME],
        ['list', '-s', 'virt-builder'],
      ])
        await program.fails(words, pattern, { env: { ...options.env, ...env } });
    assert.ok(!existsSync(join(program.directory, 'ran')));
    await assertNothingPulled(program);
  });

  it('is told of by its last words, which are escaped', async (context) => {
    const words = 'printf "x\\nvirt-builder: error: \\033[2Jno such thing.\\n\\nIf reporting bugs, run\\n" >&2; exit 1';
    const [program, options] = withScripts(context, words);
    const pattern =
      /: image: virt-builder failed for virt-builder:\/\/\/test-1: \S*\[2Jno such thing; see virt-sandbox-image list/;
    const { stderr } = await program.run(['pull', NAME], options);
    assert.match(stderr, pattern);
    assert.ok(!stderr.includes('\u001b'), JSON.stringify(stderr));
    await assertNothingPulled(program);
  });

  it('is told of if it says nothing, or a signal ends it', async (context) => {
    const [silent, options] = withScripts(context, 'exit 3');
    await silent.fails(['pull', NAME], /virt-builder failed for virt-builder:\/\/\/test-1: .*exit code 3/, options);
    const [killed, others] = withScripts(context, 'kill -9 $$');
    await killed.fails(['list', '-s', 'virt-builder'], /failed for the list of its templates: .*SIGKILL/, others);
    await assertNothingPulled(killed);
  });

  it('is ended if it writes to stderr without end', async (context) => {
    const [program, options] = withScripts(context, 'while :; do yes "virt-builder: warning: more" >&2; done');
    await program.fails(['pull', NAME], /virt-builder failed for .*: it wrote too much to stderr; /, options);
    await assertNothingPulled(program);
  });

  it('is ended if its list has no end, and refused if it is none', async (context) => {
    const [endless, options] = withScripts(context, 'while :; do yes; done');
    await endless.fails(
      ['list', '-s', 'virt-builder'],
      /the list that virt-builder prints has more than 4194304 bytes; /,
      options,
    );
    await assertNothingPulled(endless);
    const [other, others] = withScripts(context, 'echo "[]"');
    await other.fails(['list', '-s', 'virt-builder'], /virt-builder prints has another form than expected; /, others);
  });

  for (const [signal, status, how, first, rest] of [
    // What it starts is killed, and it goes on: it has no QEMU whose end it would notice.
    ['SIGINT', 130, ', also if it ignores all that it can', 'trap "" INT TERM HUP', `while :; do ${WAIT}; done`],
    ['SIGTERM', 143, '', ':', `${WAIT}; exit 1`],
    ['SIGHUP', 129, '', ':', `${WAIT}; exit 1`],
  ] as const)
    it(`ends at ${signal}${how}`, async (context) => {
      const [program, options] = withScripts(context, `${first}; ${BUILD}; echo begun >"$HOME/begun"; ${rest}`);
      const running = program.start(['pull', NAME], options);
      await running.untilError(/making a disk with virt-builder/);
      await untilMade(program, 'begun', running);
      running.child.kill(signal);
      const { code, stderr } = await running.result;
      assert.equal(code, status);
      // A busy host takes long for that, too.
      const [last, ...before] = stderr.split('\n').slice(0, -1).reverse();
      assert.equal(last, 'virt-sandbox-image: making a disk with virt-builder');
      for (const line of before) assert.equal(line, 'virt-sandbox-image: looking for the image');
      await assertNothingPulled(program);
    });

  it('ends as at one signal when a terminal that is closed sends two', async (context) => {
    // It is not ended before the second signal comes: it goes on when what it has started is killed.
    const script = 'trap "" TERM; echo begun >"$HOME/begun"; WAIT; echo killed >"$HOME/killed"; WAIT; exit 1';
    const [program, options] = withScripts(context, script.replaceAll('WAIT', WAIT));
    const running = program.start(['pull', NAME], options);
    await untilMade(program, 'begun', running);
    // The shell sends the first, and the kernel the other when the shell has ended.
    running.child.kill('SIGHUP');
    await untilMade(program, 'killed', running);
    running.child.kill('SIGHUP');
    assert.equal((await running.result).code, 129);
    await assertNothingPulled(program);
  });

  it('goes on when the pull is killed, also if it has something to say', async (context) => {
    const script = `${BUILD}; echo begun >"$HOME/begun"; while kill -0 $PPID; do sleep 0.02; done
      echo "virt-builder: warning: x" >&2; echo said >"$HOME/cleaned"`;
    const [program, options] = withScripts(context, script);
    const running = program.start(['pull', NAME], options);
    await untilMade(program, 'begun', running);
    running.child.kill('SIGKILL');
    assert.equal((await running.result).signal, 'SIGKILL');
    await untilMadeBehind(program, 'cleaned');
    await program.out('prune');
    await assertNothingPulled(program);
  });

  for (const words of [['prune'], ['pull', NAME]])
    it(`is ended by ${words[0]} when its pull was killed`, async (context) => {
      const script = `[ ! -e "$HOME/cleaned" ] || exit 1
        ${BUILD}; trap "" TERM; echo begun >"$HOME/begun"; ${WAIT}; echo cleaned >"$HOME/cleaned"`;
      const [program, options] = withScripts(context, script);
      const running = program.start(['pull', NAME], options);
      await untilMade(program, 'begun', running);
      await untilRecorded(program, running);
      running.child.kill('SIGKILL');
      assert.equal((await running.result).signal, 'SIGKILL');
      assert.equal(readdirSync(join(program.store, 'roots')).filter((name) => name.startsWith('.build')).length, 1);
      const { code } = await program.run(words, options);
      assert.equal(code, words[0] === 'prune' ? 0 : 125);
      assert.equal(readFileSync(join(program.directory, 'cleaned'), 'utf8'), 'cleaned\n');
      await assertNothingPulled(program);
    });

  it('leaves nothing that runs on when it ends', async (context) => {
    const [program, options] = withScripts(context, `sh -c '${WAIT}; :' "$0" & exit 1`);
    await program.fails(['pull', NAME], /virt-builder failed for /, options);
    await assertNothingPulled(program);
  });

  it('has one name for each template, with a platform', async (context) => {
    const [program, options] = withScripts(context, BUILD, 'cat "$HOME/tar" >"$5"');
    writeFileSync(join(program.directory, 'tar'), tarOf({ name: 'file', data: 'x' }));
    const far = `${NAME}?arch=aarch64`;
    for (const words of [[NAME], [far], [NAME, '--platform', 'arm64'], [far, '--platform', 'linux/arm64']]) {
      const { code, stderr } = await program.run(['pull', ...words], options);
      assert.equal(code, 0, stderr);
    }
    const listed = (await program.json('list')) as { readonly name: string; readonly platform: string }[];
    assert.deepEqual(
      listed.map(({ name, platform }) => `${name} ${platform}`),
      [`${NAME} linux/amd64`, `${NAME} linux/arm64`],
    );
    await program.fails(['inspect', NAME], /is there for linux\/amd64, linux\/arm64; choose one with --platform/);
    assert.match(await program.out('inspect', 'virt-builder:/test-1?arch=arm64'), /^platform: linux\/arm64$/m);
    assert.match(await program.out('rm', far), /^virt-builder:\/\/\/test-1.*: removed, /);
    assert.match(await program.out('inspect', NAME), /^platform: linux\/amd64$/m);
    await program.fails(['pull', far, '--platform', 'amd64'], /only for linux\/arm64; .* --platform/, options);
  });

  it('leaves free what every image does', { skip: unlessRoot('mounts a small disk') }, async (context) => {
    // A twentieth of 200 MiB has to stay free.
    const [program, options] = onSmallDisk(withScripts(context, `fallocate -l 193M "$TMPDIR/large"; ${WAIT}; exit 1`));
    await program.fails(
      ['pull', NAME],
      /image: no space is left in \S+ for an image: \d+ bytes are free, and 10485760 have to stay free; /,
      options,
    );
    assert.deepEqual(processesWith(program.directory), []);
  });

  it('lists templates with less room', { skip: unlessRoot('mounts a small disk') }, async (context) => {
    // Longer than several looks at the room, one each 100 ms.
    const script = `fallocate -l 193M "$TMPDIR/large"; sleep 0.5; echo '{"version":1,"templates":[]}'`;
    const [program, options] = onSmallDisk(withScripts(context, script));
    const { code, out, stderr } = await program.run(['list', '-s', 'virt-builder', '--json'], options);
    assert.deepEqual([code, out, stderr], [0, '[]\n', '']);
  });

  it('keeps nothing of what it made when the rest fails', {
    skip: unlessRoot('mounts a small disk'),
  }, async (context) => {
    // There is room for the archive and the layer, and none for the file system.
    const script = 'dd if=/dev/zero bs=1M count=80 of=file 2>/dev/null; tar -cf "$5" file';
    const [program, options] = onSmallDisk(withScripts(context, BUILD, script), '; ls "$XDG_CACHE_HOME"/*/oci/blobs/*');
    const { code, stderr, out } = await program.run(['pull', NAME], options);
    assert.equal(code, 125);
    assert.match(stderr, /image: no space is left in \S+roots for an image, which takes \d+ bytes/);
    assert.doesNotMatch(out, /[0-9a-f]{64}/);
    assert.match(out, /blobs\/sha256:\n/);
  });

  it('lets others remove images while it makes a disk', async (context) => {
    const script = `echo begun >"$HOME/begun"; while [ ! -e "$HOME/go" ]; do sleep 0.02; done; ${BUILD}`;
    const [program, options] = withScripts(context, script, 'cat "$HOME/tar" >"$5"');
    writeFileSync(join(program.directory, 'tar'), tarOf({ name: 'file', data: 'x' }));
    const running = program.start(['pull', NAME], options);
    await untilMade(program, 'begun', running);
    await program.out('prune', '--all');
    writeFileSync(join(program.directory, 'go'), '');
    const { code, stderr } = await running.result;
    assert.equal(code, 0, stderr);
    assert.match(await program.out('verify'), /: whole\n$/);
  });

  it('is taken for hostile: an archive that leads out of its root is refused, and not kept', async (context) => {
    const [program, options] = withScripts(context, BUILD, 'cat "$HOME/tar" >"$5"');
    for (const [bytes, pattern] of [
      [tarOf({ name: '../out', data: 'x' }), /layer 1 of virt-builder:\/\/\/test-1 .*\.\./],
      [
        Buffer.from('no archive\n'.repeat(100)),
        /layer 1 of virt-builder:\/\/\/test-1 is no tar archive, or is damaged; /,
      ],
    ] as const) {
      writeFileSync(join(program.directory, 'tar'), bytes);
      await program.fails(['pull', NAME], pattern, options);
      await assertNothingPulled(program);
    }
  });
});
