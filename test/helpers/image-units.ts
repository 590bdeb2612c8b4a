/** Services of units of an OCI image, in machines and in containers alike. */
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import type { Way } from './connections.js';
import { assertNothingLeft, exceptLogs, uniqueName } from './leftovers.js';
import { runSandbox, SERVICE_PROGRAM } from './run.js';
import { scratchDirectory } from './scratch.js';
import { createdService } from './services.js';
import { systemdImage } from './systemd-root.js';

const UNITS = {
  'hello.service': `[Service]
Type=exec
ExecStart=/bin/sh -c 'echo $WHO >>/var/log/hello; exec sleep infinity'
Environment=WHO=unit
`,
  'named@.service': '[Service]\nType=exec\nExecStart=/bin/sleep infinity\n',
  // Something wants it, and is not asked.
  'multi-user.target.wants/other.service': '[Service]\nExecStart=/bin/sleep infinity\n',
};

/** For a command that the image has. Systemd knows none of them. */
const CONFIG = { Entrypoint: ['/entry'], User: 'nobody', WorkingDir: '/var', StopSignal: 'SIGQUIT', Env: ['A=image'] };

/** Runs `create` to fail. @returns what it says */
async function refused(way: Way, root: string, unit: string): Promise<string> {
  const words = ['-c', way.uri, 'create', '-r', root, '-u', unit, uniqueName()];
  const { code, stderr } = await runSandbox(words, { ...way.options, program: SERVICE_PROGRAM });
  assert.equal(code, 125, stderr);
  return stderr;
}

/** Defines the tests. */
export function itRunsUnitsOfImages(way: Way): void {
  const image = (t: TestContext, without: readonly string[] = []) =>
    systemdImage(scratchDirectory(t), UNITS, { without, config: CONFIG });

  it('starts the units of an image by its systemd, and keeps their state', async (t) => {
    const root = image(t);
    assert.match(await refused(way, root, 'none'), /there is no unit "none\.service" in "oci:/);
    const service = await createdService(t, way, ['-r', root, '-u', 'hello', '-u', 'named@']);
    for (const round of ['unit', 'unit\nunit']) {
      await service.ok(['start']);
      const { units } = await service.status();
      assert.deepEqual(
        units?.map(({ unit, active }) => [unit, active]),
        [
          ['hello.service', 'active'],
          [`named@${service.name.replaceAll('-', '\\x2d')}.service`, 'active'],
        ],
      );
      assert.equal(
        await service.inside('cat /var/log/hello; cat /proc/1/comm; pwd; id -u; echo $A'),
        `${round}\nsystemd\n/var\n0\nimage\n`,
      );
      // What a build has left there is not seen, and what is made is not kept.
      assert.equal(
        await service.inside('ls /run/built /run/made /tmp/made 2>/dev/null || touch /run/made /tmp/made'),
        '',
      );
      assert.equal(await service.inside('systemctl is-active other || true'), 'inactive\n');
      await service.ok(['stop']);
      const { lastEnd } = await service.status();
      assert.deepEqual([lastEnd?.why, lastEnd?.exitCode], ['stopped', 0]);
    }
    await assertNothingLeft(service.name, { ...exceptLogs(way.where), state: '/run/libvirt-sandbox' });
  });

  it('says what an image lacks for it', async (t) => {
    const stripped = image(t, ['usr/lib/systemd/systemd', 'usr/bin/nsenter']);
    const said = await refused(way, stripped, 'hello');
    assert.match(said, /the image "oci:.*" cannot run units: it has no systemd, no nsenter; take an image with/);
  });
}
