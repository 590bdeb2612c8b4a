/** Services that run the command of an OCI image, in machines and in containers alike. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { Way } from './connections.js';
import { assertNothingLeft, exceptLogs, uniqueName } from './leftovers.js';
import { removeServices } from './making-services.js';
import { busyboxImage } from './oci/root-images.js';
import { runSandbox, SERVICE_PROGRAM } from './run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { createdService } from './services.js';

/** Counts its starts in a file that is kept. It ends by the stop signal of the image alone. */
const COMMAND = 'echo start >>starts; echo $(id -u) $A $(pwd) $(grep -c . starts); trap "" TERM; exec sleep 1000';

const CONFIG = {
  Entrypoint: ['/bin/sh', '-c'],
  Cmd: [COMMAND],
  User: 'web',
  WorkingDir: '/home/web',
  StopSignal: 'SIGUSR1',
  Env: ['PATH=/bin', 'A=image'],
};

/** @returns what `--root` takes */
function archive(t: TestContext, config: object = CONFIG): string {
  const directory = scratchDirectory(t);
  const home = { name: 'home/web/', type: '5', uid: 1234, gid: 1235, mode: 0o700 };
  busyboxImage(join(directory, 'image'), [{ name: 'home/', type: '5' }, home], config);
  const file = join(directory, 'image.tar');
  execFileSync('tar', ['-C', join(directory, 'image'), '-cf', file, '.']);
  return `oci-archive:${file}`;
}

/** Defines the tests. */
export function itRunsImages(way: Way, options: readonly string[] = []): void {
  it('runs the command of an image as the image says, keeps its state, and starts again', async (t) => {
    const service = await createdService(t, way, [...options, '-r', archive(t), '-e', 'B=service']);
    await service.ok(['start']);
    await service.untilLog('1234 image /home/web 1\n');
    const { state, pid } = await service.status();
    assert.equal(state, 'running');
    assert.equal(await service.inside('id -u; echo $A $B; pwd; echo kept >kept'), '1234\nimage service\n/home/web\n');
    await service.ok(['restart']);
    await service.untilLog('1234 image /home/web 1\n1234 image /home/web 2\n');
    const again = await service.status();
    assert.deepEqual([again.state, again.restarts], ['running', 0]);
    assert.notEqual(again.pid, pid);
    assert.equal(await service.inside('cat kept; stat -c "%U %G" kept starts'), 'kept\nweb web\nweb web\n');
    for (const { lastEnd } of [again, await stopped()])
      assert.deepEqual([lastEnd?.why, lastEnd?.exitCode, lastEnd?.signal], ['stopped', 138, 'SIGUSR1']);
    await assertNothingLeft(service.name, { ...exceptLogs(way.where), state: '/run/libvirt-sandbox' });

    async function stopped() {
      await service.ok(['stop']);
      return service.status();
    }
  });

  it('has the label that is asked for, and the first start takes its state', async (t) => {
    const states = scratchDirectory(t, WITH_ATTRIBUTES);
    const label = ['-s', 'static,label=system_u:system_r:svirt_lxc_net_t', '-f', 'svirt_lxc_file_t'];
    const service = await createdService(t, way, [...options, '-p', states, ...label, '-r', archive(t)]);
    // A host without SELinux starts none with a label.
    service.change((text) => text.replace(/^\[security\]\n(?:[a-z].*\n)*/m, ''));
    await service.ok(['start']);
    await service.untilLog('1234 image /home/web 1\n');
  });

  it('gets SIGTERM before it is killed, if the stop signal of its image does not end it', async (t) => {
    const ends = 'trap "echo ended by TERM; exit 7" TERM; trap "" USR1; echo begun; while :; do sleep 0.1; done';
    const service = await createdService(t, way, ['-r', archive(t, { ...CONFIG, Cmd: [ends] })]);
    await service.ok(['start']);
    await service.untilLog('begun\n');
    await service.ok(['stop', '-t', '8']);
    assert.match(await service.log(), /^begun\nended by TERM\n$/m);
    const { lastEnd } = await service.status();
    assert.deepEqual([lastEnd?.why, lastEnd?.exitCode, lastEnd?.signal], ['stopped', 7, undefined]);
  });

  it('is not made of an image that it cannot run', async (t) => {
    const name = uniqueName();
    t.after(() => removeServices([name], way.options));
    for (const [config, why] of [
      [{ Cmd: [] }, /names no command/],
      [{ ...CONFIG, User: 'nobody-here' }, /nobody-here/],
    ] as const) {
      const words = ['-c', way.uri, 'create', '-r', archive(t, config), name];
      const { code, stderr } = await runSandbox(words, { ...way.options, program: SERVICE_PROGRAM });
      assert.equal(code, 125, stderr);
      assert.match(stderr, why);
      assert.match(
        (await runSandbox(['show', name], { ...way.options, program: SERVICE_PROGRAM })).stderr,
        /there is no/,
      );
    }
  });
}
