/** The program that systemd runs to learn of services. As root it would find those of this host. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { formatService } from '../../../src/service/file.js';
import { describedService, type ServiceChanges } from '../../helpers/described-service.js';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';
import { unlessSystemd, verifyUnits } from '../../helpers/systemd-verify.js';

const PROGRAM = join(REPOSITORY, 'bin/virt-sandbox-service-generator');

/** A user with services, and directories of a generator. */
class Home {
  readonly directory: string;
  readonly output: readonly string[];

  constructor(t: TestContext) {
    this.directory = scratchDirectory(t);
    this.output = ['normal', 'early', 'late'].map((name) => join(this.directory, name));
    for (const path of this.output) {
      mkdirSync(path);
      chmodSync(path, 0o777);
    }
  }

  async add(name: string, changes: ServiceChanges = {}): Promise<string> {
    const config = join(this.directory, 'config/libvirt-sandbox/services', name, 'config');
    mkdirSync(config, { recursive: true });
    const file = join(config, 'sandbox.cfg');
    writeFileSync(file, await formatService(describedService(changes)));
    return file;
  }

  run(words: readonly string[], { scope = 'user', program = PROGRAM } = {}): SpawnSyncReturns<string> {
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];
    const env = { PATH: process.env['PATH'], XDG_CONFIG_HOME: join(this.directory, 'config'), SYSTEMD_SCOPE: scope };
    return spawnSync('setpriv', [...nobody, program, ...words], { env, cwd: '/', encoding: 'utf8' });
  }
}

describe('virt-sandbox-service-generator', { skip: unlessRoot('to run as another user') }, () => {
  it('writes a unit for each service', { skip: unlessSystemd }, async (t) => {
    const home = new Home(t);
    await home.add('web', { settings: { autostart: true, restart: 'always' } });
    await home.add('.web.making');
    await home.add('mail');
    const { status, stdout, stderr } = home.run(home.output);
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
    const [normal = '', early = '', late = ''] = home.output;
    assert.deepEqual([readdirSync(early), readdirSync(late)], [[], []]);
    assert.deepEqual(readdirSync(normal).sort(), [
      'default.target.wants',
      'mail_sandbox.service',
      'virt-sandbox-session.service',
      'web_sandbox.service',
    ]);
    const link = join(normal, 'default.target.wants/web_sandbox.service');
    assert.equal(readlinkSync(link), '../web_sandbox.service');
    const text = readFileSync(link, 'utf8');
    assert.match(text, /^ExecStart=:\/.*\/bin\/virt-sandbox-service run web$/m);
    // The program is not there before everything is built.
    const names = ['mail_sandbox', 'web_sandbox', 'virt-sandbox-session'];
    const units = names.map((name) => join(normal, `${name}.service`));
    for (const path of units)
      writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/:\/.*\/virt-sandbox-service(?= )/g, PROGRAM));
    assert.equal(verifyUnits(units, 'user'), '');
  });

  it('knows where it is when systemd calls it by a link', async (t) => {
    const home = new Home(t);
    await home.add('web');
    const link = join(home.directory, 'generator');
    symlinkSync(PROGRAM, link);
    const { status, stdout } = home.run(['--dry-run'], { program: link });
    assert.equal(status, 0);
    assert.match(stdout, /^# web_sandbox\.service\n# Made from /);
    assert.ok(stdout.includes(`\nExecStart=:${join(REPOSITORY, 'bin/virt-sandbox-service')} run web\n`), stdout);
  });

  it('says which services are broken or unreadable, and makes the others', async (t) => {
    const home = new Home(t);
    await home.add('good');
    chmodSync(await home.add('secret'), 0o600);
    writeFileSync(await home.add('broken'), 'no\x1bkey\n');
    const { status, stdout, stderr } = home.run(home.output);
    assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
    assert.deepEqual(readdirSync(home.output[0] ?? ''), ['good_sandbox.service', 'virt-sandbox-session.service']);
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.length, 2, stderr);
    for (const line of lines) assert.match(line, /^virt-sandbox-service-generator: "[^"]+" gets no unit: [ -~]+$/);
    assert.match(lines[1] ?? '', /secret" gets no unit: its config\/sandbox\.cfg cannot be read \(EACCES\)$/);
  });

  it('makes nothing for the systemd of root’s sessions', () => {
    const env = { PATH: process.env['PATH'], SYSTEMD_SCOPE: 'user' };
    const { status, stderr } = spawnSync(PROGRAM, ['/nonexistent'], { env, encoding: 'utf8' });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  });

  it('refuses other words', (t) => {
    const home = new Home(t);
    for (const words of [[], ['relative'], ['/a', '/b'], ['/a', '/b', '/c', '/d'], ['--dry-run', '/a'], ['-h']])
      assert.equal(home.run(words).status, 125, words.join(' '));
    assert.match(home.run(['--help']).stdout, /^Usage: virt-sandbox-service-generator NORMAL-DIR /);
    assert.match(home.run(['--version']).stdout, /^virt-sandbox-service-generator version \d/);
  });
});
