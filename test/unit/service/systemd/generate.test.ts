import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { formatService } from '../../../../src/service/file.js';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { generateUnits, writeUnits } from '../../../../src/service/systemd/generate.js';
import { formatUnit } from '../../../../src/service/systemd/unit.js';
import { describedService, type ServiceChanges } from '../../../helpers/described-service.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const program = '/usr/bin/virt-sandbox-service';

/** A tree with services in it. */
class Tree {
  readonly roots: ServiceRoots;
  readonly reports: string[] = [];
  readonly #directory: string;

  constructor(t: TestContext) {
    this.#directory = scratchDirectory(t);
    const services = join(this.#directory, 'services');
    this.roots = { scope: 'system', services, directories: services, images: services, lives: services };
    mkdirSync(services);
  }

  path(...parts: readonly string[]): string {
    return join(this.#directory, ...parts);
  }

  async add(name: string, changes: ServiceChanges = {}): Promise<void> {
    this.addText(name, await formatService(describedService(changes)));
  }

  addText(name: string, text: string): void {
    mkdirSync(this.path('services', name, 'config'), { recursive: true });
    writeFileSync(this.path('services', name, 'config/sandbox.cfg'), text);
  }

  report = (message: string) => {
    this.reports.push(message.replaceAll(this.#directory, ''));
  };

  /** @returns names of the units */
  async units(): Promise<string[]> {
    const units = await generateUnits({ roots: this.roots, program }, this.report);
    return units.map(({ name }) => name);
  }
}

describe('the units of all services', () => {
  it('are those of each', async (t) => {
    const tree = new Tree(t);
    const service = { type: 'systemd' as const, bootTarget: 'multi-user.target', units: ['nginx.service'] };
    const changes = { config: { service }, settings: { restart: 'always' as const, autostart: true } };
    await tree.add('web', changes);
    await tree.add('a-b.c_d');
    const [first, second] = await generateUnits({ roots: tree.roots, program }, tree.report);
    assert.deepEqual([first?.name, first?.target], ['a-b.c_d_sandbox.service', undefined]);
    const described = describedService({ ...changes, roots: tree.roots });
    const text = formatUnit(described, { program, scope: 'system' });
    assert.deepEqual(second, { name: 'web_sandbox.service', text, target: 'multi-user.target' });
    assert.deepEqual(tree.reports, []);
  });

  it('have one for the daemon of a session, if a service may use it', async (t) => {
    const tree = new Tree(t);
    const roots = { ...tree.roots, scope: 'user' as const };
    await tree.add('embedded', { settings: { connect: 'qemu:///embed' } });
    const names = async () => (await generateUnits({ roots, program }, tree.report)).map(({ name }) => name);
    assert.deepEqual(await names(), ['embedded_sandbox.service']);
    await tree.add('usual');
    assert.deepEqual(await names(), [
      'embedded_sandbox.service',
      'usual_sandbox.service',
      'virt-sandbox-session.service',
    ]);
  });

  it('are none where there is no directory', async (t) => {
    const tree = new Tree(t);
    const roots = { ...tree.roots, services: tree.path('missing') };
    assert.deepEqual(await generateUnits({ roots, program }, tree.report), []);
    assert.deepEqual(tree.reports, []);
  });

  it('are none where it is a file, which is said', async (t) => {
    const tree = new Tree(t);
    writeFileSync(tree.path('file'), '');
    const roots = { ...tree.roots, services: tree.path('file') };
    assert.deepEqual(await generateUnits({ roots, program }, tree.report), []);
    assert.match(tree.reports.join(), /^the services cannot be listed: ENOTDIR/);
  });

  it('do not suffer from what is broken, half-made or foreign', async (t) => {
    const tree = new Tree(t);
    await tree.add('good');
    await tree.add('.good.new');
    await tree.add('Upper');
    await tree.add('an@instance');
    await tree.add('a b');
    tree.addText('broken', 'no key file\n');
    tree.addText('empty', '');
    const wrong = await formatService(describedService({ settings: { autostart: true } }));
    tree.addText('wrong', wrong.replace('autostart=true', 'autostart=perhaps'));
    tree.addText('binary', '\0\xff');
    mkdirSync(tree.path('services/half'));
    mkdirSync(tree.path('services/halfway/config'), { recursive: true });
    writeFileSync(tree.path('services/old.sandbox'), '');
    mkdirSync(tree.path('services/directory/config/sandbox.cfg'), { recursive: true });
    tree.addText('large', '');
    truncateSync(tree.path('services/large/config/sandbox.cfg'), 2 ** 40);
    mkdirSync(tree.path('services/fifo/config'), { recursive: true });
    execFileSync('mkfifo', [tree.path('services/fifo/config/sandbox.cfg')]);
    symlinkSync('missing', tree.path('services/dangling'));
    symlinkSync('circle', tree.path('services/circle'));
    symlinkSync('/dev', tree.path('services/elsewhere'));
    mkdirSync(tree.path('services/device/config'), { recursive: true });
    symlinkSync('/dev/zero', tree.path('services/device/config/sandbox.cfg'));
    assert.deepEqual(await tree.units(), ['good_sandbox.service']);
    const said = (name: string) =>
      tree.reports.find((report) => report.startsWith(`"/services/${name}" gets no unit: `));
    for (const [name, why] of [
      ['Upper', /"Upper" cannot be the name of a service/],
      ['an@instance', /"an@instance" cannot be the name/],
      ['a b', /"a b" cannot be the name/],
      ['broken', /sandbox\.cfg/],
      ['empty', /sandbox\.cfg/],
      ['wrong', /"perhaps" for autostart$/],
      ['binary', /sandbox\.cfg/],
      ['half', /its config\/sandbox\.cfg is missing$/],
      ['halfway', /its config\/sandbox\.cfg is missing$/],
      ['old.sandbox', /its config\/sandbox\.cfg is missing$/],
      ['directory', /its config\/sandbox\.cfg is not a regular file$/],
      ['large', /its config\/sandbox\.cfg is larger than 1048576 bytes$/],
      ['fifo', /its config\/sandbox\.cfg is not a regular file$/],
      ['dangling', /its config\/sandbox\.cfg is missing$/],
      ['circle', /its config\/sandbox\.cfg cannot be read \(ELOOP\)$/],
      ['elsewhere', /its config\/sandbox\.cfg is missing$/],
      ['device', /its config\/sandbox\.cfg is not a regular file$/],
    ] as const)
      assert.match(said(name) ?? '', why, name);
    assert.equal(tree.reports.length, 17);
  });

  it('follow links to services that are elsewhere', async (t) => {
    const tree = new Tree(t);
    await tree.add('one');
    mkdirSync(tree.path('disk'));
    execFileSync('mv', [tree.path('services/one'), tree.path('disk/two')]);
    symlinkSync('../disk/two', tree.path('services/two'));
    mkdirSync(tree.path('services/three/config'), { recursive: true });
    symlinkSync(tree.path('disk/two/config/sandbox.cfg'), tree.path('services/three/config/sandbox.cfg'));
    assert.deepEqual(await tree.units(), ['three_sandbox.service', 'two_sandbox.service']);
    assert.deepEqual(tree.reports, []);
  });

  it('are written, with links from what starts them', async (t) => {
    const tree = new Tree(t);
    await tree.add('one', { settings: { autostart: true } });
    await tree.add('two', { settings: { autostart: true } });
    await tree.add('three');
    const units = await generateUnits({ roots: tree.roots, program }, tree.report);
    const output = tree.path('output');
    mkdirSync(output);
    await writeUnits(output, units, tree.report);
    assert.deepEqual(readdirSync(output).sort(), [
      'multi-user.target.wants',
      'one_sandbox.service',
      'three_sandbox.service',
      'two_sandbox.service',
    ]);
    const wants = join(output, 'multi-user.target.wants');
    assert.deepEqual(readdirSync(wants).sort(), ['one_sandbox.service', 'two_sandbox.service']);
    assert.equal(readlinkSync(join(wants, 'one_sandbox.service')), '../one_sandbox.service');
    assert.equal(readFileSync(join(wants, 'two_sandbox.service'), 'utf8'), units[2]?.text);
    assert.deepEqual(tree.reports, []);
  });

  it('take no place of another, and go on where one cannot be written', async (t) => {
    const tree = new Tree(t);
    for (const name of ['one', 'three', 'two']) await tree.add(name);
    const units = await generateUnits({ roots: tree.roots, program }, tree.report);
    writeFileSync(tree.path('precious'), 'precious');
    const output = tree.path('output');
    mkdirSync(output);
    symlinkSync('../precious', join(output, 'one_sandbox.service'));
    mkdirSync(join(output, 'three_sandbox.service'));
    await writeUnits(output, units, tree.report);
    assert.equal(readFileSync(tree.path('precious'), 'utf8'), 'precious');
    assert.equal(readFileSync(join(output, 'two_sandbox.service'), 'utf8'), units[2]?.text);
    assert.equal(tree.reports.length, 2);
    assert.match(tree.reports[0] ?? '', /^the unit "one_sandbox.service" cannot be written to "\/output": EEXIST/);
    await writeUnits(tree.path('missing'), units, tree.report);
    assert.equal(tree.reports.length, 5);
  });
});
