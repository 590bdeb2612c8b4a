/** A service that runs while the disk with its log and its record gets full, and has room again. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { Way } from './connections.js';
import { LIVES, serviceOf, type TestService } from './services.js';

/** It writes each word that it is sent, and fails at `end`. */
const SCRIPT = `mkfifo /run/words; while :; do
  while read -r word; do [ "$word" != end ] || exit 3; echo "$word"; done </run/words; done`;

/** More lines than the rest of a page has room for. */
const LINES = 400;

/** A file system of 64 KiB, to be mounted where the log and the record of a service are. */
function smallDisk(t: TestContext, way: Way) {
  let path = '';
  const run = (...command: readonly string[]) => {
    const [program = '', ...args] = [...(way.options.through ?? []), ...command];
    execFileSync(program, args);
  };
  t.after(() => path !== '' && run('umount', '--lazy', path));
  return {
    mountFor({ name }: TestService): void {
      const life = join(LIVES, name);
      run('mkdir', '-p', '-m', '700', life);
      run('mount', '-t', 'tmpfs', '-o', 'mode=700,size=64k', 'none', life);
      path = life;
    },
    fill: () => run('sh', '-c', `head -c 1M /dev/zero 2>/dev/null >${path}/filler || true`),
    makeRoom: () => run('rm', `${path}/filler`),
  };
}

/** On a full disk, with `status` and its log saying so. */
export function itRunsWithoutRoomForItsLog(way: Way): void {
  it('runs on where its log has no room, and its log goes on when there is, with a line on what it lacks', async (t) => {
    const options = ['--restart', 'on-failure', '--health', 'test -p /run/words'];
    // First, since nothing removes a service with something mounted there.
    const disk = smallDisk(t, way);
    const service = await serviceOf(t, way, { options, script: SCRIPT });
    disk.mountFor(service);
    await service.ok(['start']);
    const send = (words: string) => service.inside(`${words} >/run/words`);
    // The lines of virt-sandbox-service itself are on stderr.
    const through = [...(way.options.through ?? []), 'sh', '-c', 'exec "$@" 2>&1', 'sh'];
    const logs = async (...given: readonly string[]) => (await service.run(['logs', ...given], [], { through })).out;
    await send('echo before');
    const follower = service.begin(['logs', '-f'], { through });
    await follower.until(/^before$/m);

    disk.fill();
    await send(`seq ${LINES}`);
    assert.equal(await service.inside('echo well'), 'well\n');
    // What has the words is still to write them.
    await service.until(({ unlogged }) => unlogged !== undefined);
    assert.match(
      (await service.run(['status'])).out,
      /: running, healthy since .*\n {2}log {7}lacks what .*: ENOSPC.*; make room/s,
    );
    // Its record takes the room of the one before. The sandbox may end before the one who sends it does.
    await service.run(['execute'], ['--', 'sh', '-c', 'echo end >/run/words']);
    const again = await service.until(
      ({ state, restarts, health }) => `${state} ${restarts} ${health?.isWell}` === 'running 1 true',
    );
    assert.equal(again.lastEnd?.exitCode, 3);
    assert.match(again.unlogged ?? '', /^ENOSPC/);
    assert.doesNotMatch(await logs(), new RegExp(`^${LINES}$|missing`, 'm'));

    disk.makeRoom();
    await send('echo after');
    await follower.until(/^after$/m);
    await service.until(({ unlogged }) => unlogged === undefined);
    const log = await logs();
    const [, written = '', missing] =
      /\nbefore\n((?:\d+\n)*\d*)virt-sandbox-service: up to (\d+) bytes of its output are missing here, which could not be written: ENOSPC[^\n]*\nafter\n$/.exec(
        log,
      ) ?? assert.fail(log);
    const all = Array.from({ length: LINES }, (_, index) => `${index + 1}\n`).join('');
    assert.ok(all.startsWith(written) && Number(missing) >= all.length - written.length, log);
    assert.equal(await logs('--tail', '1'), 'after\n');
    await service.ok(['stop']);
    const { code, out } = await follower.result;
    assert.deepEqual([code, out], [0, await logs()]);
  });
}
