/** virt-sandbox-image run: an image of a registry as the root of a machine, and what comes back of its command. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { testImage } from '../helpers/oci/image.js';
import { type ImageProgram, imageProgram } from '../helpers/oci/image-program.js';
import { imageIn, startRegistry } from '../helpers/oci/registry.js';
import { tarOf } from '../helpers/oci/tar.js';
import { runSandbox } from '../helpers/run.js';

const BUSYBOX = '/bin/busybox';
const EMBEDDED = ['-c', 'qemu:///embed'];

/** An image that is pulled when it is run. */
async function imageOfBusybox(context: TestContext): Promise<[ImageProgram, name: string]> {
  const [program, registry] = [imageProgram(context), await startRegistry(context)];
  const shell = [
    { name: 'bin/', type: '5' },
    { name: 'bin/busybox', data: readFileSync(BUSYBOX), mode: 0o755 },
    { name: 'bin/sh', type: '2', link: 'busybox' },
    { name: 'etc/motd', data: 'of the image\n' },
  ];
  const config = { Entrypoint: ['/bin/sh', '-c'], Cmd: ['busybox cat /etc/motd'], Env: ['PATH=/bin', 'A=image'] };
  registry.add(testImage([tarOf(...shell)], { config }), 'v1');
  return [program, imageIn(registry, 'v1')];
}

describe('virt-sandbox-image run', { skip: existsSync(BUSYBOX) ? false : 'busybox is not installed' }, () => {
  it("runs the image's command, or another, and exits as it does", async (context) => {
    const [program, name] = await imageOfBusybox(context);
    const sandbox = uniqueName();
    const own = await program.run(['run', ...EMBEDDED, '-n', sandbox, name]);
    assert.deepEqual([own.code, own.out, own.stderr], [0, 'of the image\n', '']);
    // In libvirt-sandbox's words.
    const [host, path] = name.split(/\/(.*):v1$/);
    const uri = `docker://${host}/${path}?tag=v1`;
    const other = await program.run(['run', '-n', sandbox, ...EMBEDDED, '-e', 'B=b', uri, '--', 'echo $A $B; exit 7']);
    assert.deepEqual([other.code, other.out, other.stderr], [7, 'image b\n', '']);
    await assertNothingLeft(sandbox);
  });

  it('tells of itself by its own name, and when it reaches which point', async (context) => {
    const [program, name] = await imageOfBusybox(context);
    const trace = join(program.directory, 'trace');
    const words = ['run', ...EMBEDDED, '-v', name, 'true'];
    const { code, stderr } = await program.run(words, { env: { VIRT_SANDBOX_TRACE: trace } });
    assert.equal(code, 0, stderr);
    for (const line of stderr.trimEnd().split('\n')) assert.match(line, /^virt-sandbox-image: /);
    const marks = readFileSync(trace, 'utf8').trimEnd().split('\n');
    const names = marks.map((line) => (JSON.parse(line) as { name: string }).name);
    for (const one of ['process', 'cli.start', 'config.done', 'cli.end']) assert.ok(names.includes(one), one);
  });

  it('runs one that is there by its id, and asks nobody', async (context) => {
    const [program, name] = await imageOfBusybox(context);
    const id = (await program.out('pull', '-q', name)).trim();
    const { code, out } = await program.run(['run', ...EMBEDDED, '--pull=never', id.slice(7, 19), 'kill -TERM $$']);
    assert.deepEqual([code, out], [143, '']);
  });

  it('has its image from when it has found it, whoever removes it then', async (context) => {
    const [program, name] = await imageOfBusybox(context);
    await program.out('pull', name);
    // It ends when its input does.
    const starting = program.start(['run', ...EMBEDDED, '-v', name, 'busybox cat'], { input: 'open' });
    await starting.untilError(/^virt-sandbox-image: root: [^\n]*\n/m);
    await program.fails(['rm', name], /is in use by the process \d+; end that sandbox first/);
    assert.match(await program.out('prune', '--all'), /^0 blobs and 0 file systems removed, 0 B\n$/);
    starting.child.stdin?.end('kept');
    const { code, out } = await starting.result;
    assert.deepEqual([code, out], [0, 'kept']);
    await program.out('rm', name);
  });

  it('leaves one running in the background, whose image cannot be removed', async (context) => {
    const [program, name] = await imageOfBusybox(context);
    const sandbox = uniqueName();
    const failed = await program.run(['run', '--detach', '--user=nobody-there', ...EMBEDDED, name]);
    assert.deepEqual([failed.code, failed.out], [125, '']);
    assert.match(failed.stderr, /^virt-sandbox-image: [^\n]*nobody-there[^\n]*\n$/);
    const detached = await program.run(['run', ...EMBEDDED, '--detach', '-n', sandbox, name, 'busybox sleep 1000']);
    assert.deepEqual([detached.code, detached.out], [0, `${sandbox}\n`]);
    try {
      await program.fails(['rm', name], /is in use by the process \d+; end that sandbox first/);
      assert.match(await program.out('list'), / now, by \d+\n$/);
    } finally {
      const env = { XDG_CACHE_HOME: program.directory, HOME: program.directory };
      await runSandbox(['stop', sandbox], { program: 'bin/virt-sandbox-ctl', env });
    }
    await assertNothingLeft(sandbox);
    await program.out('rm', name);
  });
});
