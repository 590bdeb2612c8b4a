/** The installed, packed and imported package runs as the built one does. */
import assert from 'node:assert/strict';
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { scratchDirectory } from '../helpers/scratch.js';

const quiet: ExecFileSyncOptionsWithStringEncoding = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };

/** Every file below dist, including object files, with its modification time. */
function builtFiles(): Map<string, bigint> {
  const names = readdirSync('dist', { recursive: true, encoding: 'utf8' }).sort();
  return new Map(names.map((name) => [name, statSync(join('dist', name), { bigint: true }).mtimeNs]));
}

/** Packs the package into a directory. @returns the archive */
function pack(directory: string): string {
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory], quiet);
  const [archive = ''] = readdirSync(directory);
  return join(directory, archive);
}

describe('the package', () => {
  it('installs into a prefix and runs from another directory', (t) => {
    const destination = scratchDirectory(t);
    execFileSync('make', ['install', `DESTDIR=${destination}`, 'PREFIX=/opt/vs'], quiet);
    const program = join(destination, 'opt/vs/bin/virt-sandbox');
    for (const name of [
      'virt-sandbox',
      'virt-sandbox-bake',
      'virt-sandbox-bench',
      'virt-sandbox-ctl',
      'virt-sandbox-image',
    ]) {
      for (const file of [
        `man/man1/${name}.1`,
        `bash-completion/completions/${name}`,
        `zsh/site-functions/_${name}`,
        `fish/vendor_completions.d/${name}.fish`,
      ]) {
        assert.ok(existsSync(join(destination, 'opt/vs/share', file)), file);
      }
    }
    assert.ok(existsSync(join(destination, 'opt/vs/share/man/man5/sandbox.cfg.5')));
    for (const name of ['virt-sandbox-bake', 'virt-sandbox-bench', 'virt-sandbox-ctl', 'virt-sandbox-image']) {
      const installed = join(destination, 'opt/vs/bin', name);
      assert.match(execFileSync(installed, ['--help'], { ...quiet, cwd: '/' }), new RegExp(`^Usage: ${name} `));
    }
    for (const scope of ['system', 'user']) {
      const link = join(destination, `opt/vs/lib/systemd/${scope}-generators/virt-sandbox-service-generator`);
      assert.match(
        execFileSync(link, ['--version'], { ...quiet, cwd: '/' }),
        /^virt-sandbox-service-generator version /,
      );
    }
    // With the common init and a profile from the installation.
    const image = join(destination, 'image');
    const bake = ['create', '--common-init', 'guest', '--profile', 'fast', '-o', image, '--json'];
    const env = { ...process.env, XDG_CACHE_HOME: destination };
    execFileSync(join(destination, 'opt/vs/bin/virt-sandbox-bake'), bake, { ...quiet, cwd: '/', env });
    assert.ok(existsSync(join(image, 'initrd')));
    // The help is a file of the installation.
    assert.match(execFileSync(program, ['--help'], { ...quiet, cwd: '/' }), /^Usage: virt-sandbox /);
    assert.equal(
      execFileSync(program, ['-c', 'qemu:///embed', '--', '/bin/echo', 'installed'], { ...quiet, cwd: '/' }),
      'installed\n',
    );
  });

  it('contains what it needs, and nothing of the build', (t) => {
    const directory = scratchDirectory(t);
    const archive = pack(directory);
    const files = execFileSync('tar', ['-tzf', archive], quiet).split('\n');
    for (const wanted of [
      'dist/virt-sandbox.cjs',
      `dist/virt-sandbox.cjs.${process.version}-${process.arch}.v8`,
      'dist/native/dhcp',
      'dist/native/init',
      'dist/native/netwall',
      'dist/native/root-view',
      'dist/native/share-server',
      'dist/native/qemu-wall',
      'dist/native/supervisor',
      'dist/guest-init.cjs',
      'dist/help/virt-sandbox.txt',
      'dist/share/man/man1/virt-sandbox.1',
      'dist/viewer/LICENSES.txt',
      'dist/viewer/page.html',
      'dist/viewer/page.js',
      'profiles/fast.json',
      'kmods/root-9p.json',
    ]) {
      assert.ok(files.includes(`package/${wanted}`), wanted);
    }
    assert.deepEqual(
      files.filter((file) => /\.o(\/|$)|src\//.test(file) && !file.includes('/types/')),
      [],
    );

    const user = join(directory, 'user');
    mkdirSync(user);
    writeFileSync(join(user, 'package.json'), '{"type":"module"}');
    execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', archive], {
      ...quiet,
      cwd: user,
    });
    assert.equal(
      execFileSync('npx', ['virt-sandbox', '-c', 'qemu:///embed', '--', '/bin/echo', 'packed'], {
        ...quiet,
        cwd: user,
      }),
      'packed\n',
    );
  });

  it('has types for every way to import it, and passes publint', async (t) => {
    const bytes = readFileSync(pack(scratchDirectory(t)));
    const analysis = await checkPackage(createPackageFromTarballData(bytes));
    assert.ok(analysis.types, 'the package has types');
    // It is an ES module only: with require() older compilers find a module that they cannot load. Node.js 20.19 can.
    const problems = analysis.problems.map(({ kind, ...problem }) => [
      kind,
      'resolutionKind' in problem ? problem.resolutionKind : '',
    ]);
    assert.deepEqual(problems, [['CJSResolvesToESM', 'node16-cjs']]);
    const { messages } = await publint({ strict: true, pack: { tarball: Uint8Array.from(bytes).buffer } });
    assert.deepEqual(messages, []);
  });

  it('is loaded by require() too', () => {
    const script = "const { Sandbox, run } = require('virt-sandbox'); console.log(typeof Sandbox, typeof run)";
    const args = ['--no-warnings', '--input-type=commonjs', '-e', script];
    assert.equal(execFileSync(process.execPath, args, quiet), 'function function\n');
  });

  it('rebuilds nothing when nothing has changed', () => {
    // The first build may run only because something has changed since the tests were built.
    execFileSync('make', ['build'], quiet);
    const before = builtFiles();
    for (const name of [
      'virt-sandbox.cjs',
      'native/init',
      'native/dhcp',
      'native/netwall',
      'native/root-view',
      'native/supervisor',
      'native/share-server',
      'native/qemu-wall',
      'types/src/index.d.ts',
    ]) {
      assert.ok(before.has(name), name);
    }
    // Its output proves nothing: the makes of the C programs are silent.
    assert.equal(execFileSync('make', ['build'], quiet), '');
    const anew = [...builtFiles()].filter(([name, time]) => before.get(name) !== time).map(([name]) => name);
    assert.deepEqual(anew, []);
  });
});

describe('the API', { concurrency: 2 }, async () => {
  // The bundle that users import, with the types of its source.
  const { Sandbox, SandboxError } = (await import(
    pathToFileURL(join(process.cwd(), 'dist/index.js')).href
  )) as typeof import('../../src/index.js');
  const connect = 'qemu:///embed';

  it('gives streams and an exit', async () => {
    const name = uniqueName();
    const sandbox = await Sandbox.start({ name, command: ['sh', '-c', 'cat; echo err >&2; exit 3'] }, { connect });
    sandbox.stdin.end('in');
    const [out, err, status] = await Promise.all([text(sandbox.stdout), text(sandbox.stderr), sandbox.exited]);
    assert.deepEqual(
      { out, err, status },
      { out: 'in', err: 'err\n', status: { code: 3, signal: undefined, exitCode: 3, timedOut: false } },
    );
    await assertNothingLeft(name);
  });

  it('names the signal that ended the application', async () => {
    const sandbox = await Sandbox.start({ command: ['sleep', '1000'] }, { connect });
    await sandbox.kill('SIGTERM');
    assert.deepEqual(await sandbox.exited, { code: undefined, signal: 'SIGTERM', exitCode: 143, timedOut: false });
  });

  it('stops the sandbox, also at the end of a scope', async () => {
    const name = uniqueName();
    const sandbox = await Sandbox.start({ name, command: ['sleep', '1000'] }, { connect });
    await sandbox[Symbol.asyncDispose]();
    await assert.rejects(sandbox.exited, (error) => error instanceof SandboxError && error.code === 'stopped');
    await assertNothingLeft(name);
  });

  it('cancels on an abort signal, before the start and after it', async () => {
    await assert.rejects(
      Sandbox.start({ command: ['true'] }, { connect, signal: AbortSignal.abort() }),
      (error) => error instanceof SandboxError && error.code === 'aborted',
    );
    const name = uniqueName();
    const controller = new AbortController();
    const sandbox = await Sandbox.start({ name, command: ['sleep', '1000'] }, { connect, signal: controller.signal });
    controller.abort();
    await assert.rejects(sandbox.exited, (error) => error instanceof SandboxError && error.code === 'stopped');
    await assertNothingLeft(name);
  });

  it('fails with a code, a stage and a remedy', async () => {
    await assert.rejects(
      Sandbox.start({ command: ['/no/such/program'] }, { connect }),
      (error) =>
        error instanceof SandboxError &&
        error.code === 'command-not-found' &&
        error.exitCode === 127 &&
        error.remedy !== '',
    );
  });
});
