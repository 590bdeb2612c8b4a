/** What --connect and --path say of a service, held against its file; nothing is started. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { parseServiceArguments } from '../../../../src/cli/service/arguments.js';
import { type ServiceCommandName, serviceCommands } from '../../../../src/cli/service/options.js';
import { serviceRoots } from '../../../../src/service/paths.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { type ServiceProgram, serviceProgram } from '../../../helpers/serving.js';

const skip = unlessRoot('services of root have states in directories');

type Words = readonly string[];

/** What stands behind a command that is about the service of that name. */
const ABOUT: Readonly<Record<ServiceCommandName, ((name: string) => Words) | 'none'>> = {
  create: 'none',
  import: 'none',
  list: 'none',
  clone: (name) => [name, `${name}-2`],
  export: (name) => [name],
  start: (name) => [name],
  stop: (name) => [name],
  restart: (name) => [name],
  run: (name) => [name],
  status: (name) => [name],
  logs: (name) => [name],
  execute: (name) => [name, '--', 'true'],
  connect: (name) => [name],
  reload: (name) => [name],
  show: (name) => [name],
  upgrade: (name) => [name, '--dry-run'],
  edit: (name) => [name],
  delete: (name) => [name],
};

/** Its root is not there, so that no start comes to anything. `group` has keys of `[service]`. */
function writeFile({ name, roots }: ServiceProgram, group = '', mounts = ''): void {
  const config = join(roots.services, name, 'config');
  mkdirSync(config, { recursive: true });
  const core = `[core]\nname=${name}\nroot=/nowhere\n`;
  const rest = `${mounts}[command]\nargv.0=/bin/true\n${group === '' ? '' : `[service]\n${group}\n`}`;
  writeFileSync(
    join(config, 'sandbox.cfg'),
    `[api]\nclass=GVirSandboxConfigServiceGeneric\nversion=0.6.0\n${core}${rest}`,
  );
}

/** Three that have a directory of services to themselves: in that of the host others come and go, and may be slow. */
function threeAlone(context: TestContext): readonly [ServiceProgram, ServiceProgram, ServiceProgram] {
  const services = scratchDirectory(context);
  const ofHost = serviceRoots().services;
  mkdirSync(ofHost, { recursive: true });
  const script = `mount --bind ${services} ${ofHost} && exec "$@"`;
  const through = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
  const one = () => {
    const made = serviceProgram(context, { through });
    return { ...made, roots: { ...made.roots, services } };
  };
  return [one(), one(), one()];
}

const isThere = ({ name, roots }: ServiceProgram) => existsSync(join(roots.services, name, 'config/sandbox.cfg'));

describe('--connect', { skip }, () => {
  for (const [command, wordsOf] of Object.entries(ABOUT)) {
    if (wordsOf === 'none') continue;

    it(`is refused by ${command} where the file names another URI, and no other`, async (context) => {
      const service = serviceProgram(context, { env: { EDITOR: 'true', VISUAL: undefined } });
      const { name } = service;
      const words = wordsOf(name);
      writeFile(service, 'connect=lxc:///');
      const says = `the service "${name}" is of "lxc:///", and --connect says "qemu:///session"`;
      const contradiction = new RegExp(`${says}; leave out --connect, or give it "lxc:///"\n$`);
      await service.fails([command, '-c', 'qemu:///session', ...words], contradiction);
      await service.fails(['--connect=qemu:///session', command, ...words], contradiction);
      await service.fails([command, '-c', 'foo:///', ...words], /the URI foo:\/\/\/ is not supported/);
      assert.ok(isThere(service));
      const { stderr } = await service.run(['-c', 'lxc:///', command, ...words]);
      assert.doesNotMatch(stderr, /--connect|there is no option/);
    });
  }

  it('comes before or behind every command', () => {
    for (const command of Object.keys(serviceCommands)) {
      const words = command === 'list' ? [] : ['a', '--', 'b'];
      const given = command === 'import' || command === 'clone' || command === 'execute' ? words : words.slice(0, 1);
      for (const argv of [
        ['-c', 'lxc:///', command, ...given],
        ['-clxc:///', command, ...given],
        [command, '--connect=lxc:///', ...given],
        command === 'list' ? [command, '-c', 'lxc:///'] : [command, 'a', '-c', 'lxc:///', ...given.slice(1)],
      ]) {
        const request = parseServiceArguments(argv);
        if ('asks' in request) assert.fail(argv.join(' '));
        assert.deepEqual([request.command, request.args.values.get('connect')], [command, 'lxc:///'], argv.join(' '));
      }
    }
    assert.throws(() => parseServiceArguments(['-c', 'lxc:///']), { code: 'usage', message: 'no command was given' });
  });

  it('contradicts no file that names none, as those of libvirt-sandbox 0.6', async (context) => {
    const service = serviceProgram(context);
    const { name } = service;
    writeFile(service);
    for (const uri of ['lxc:///', 'qemu:///system'])
      assert.match(await service.out('-c', uri, 'show', name), /^version=0\.6\.0$/m);
    assert.match((await service.run(['-c', 'lxc:///', 'start', name])).stderr, /nowhere/);
    await service.out('-c', 'lxc:///', 'delete', name);
    assert.ok(!isThere(service));
  });

  it('leaves a broken file to the command', async (context) => {
    const service = serviceProgram(context);
    writeFile(service, 'connect=lxc:///\nrestart=often');
    await service.fails(['-c', 'qemu:///session', 'show', '--json', service.name], /restart/);
    await service.out('-c', 'qemu:///session', 'delete', service.name);
    assert.ok(!isThere(service));
  });

  it('chooses those that list and status show', async (context) => {
    const [web, db, old] = threeAlone(context);
    writeFile(web, 'connect=lxc:///');
    writeFile(db, 'connect=qemu:///embed');
    writeFile(old);
    const of = async (...words: string[]) => {
      const shown = JSON.parse(await web.out(...words)) as { name: string }[];
      const names = shown.map(({ name }) => name);
      assert.ok(names.every((name) => [web, db, old].some((one) => one.name === name)));
      return [web, db, old].map(({ name }) => names.includes(name));
    };
    for (const command of ['list', 'status']) {
      assert.deepEqual(await of('-c', 'lxc:///', command, '--json'), [true, false, true]);
      assert.deepEqual(await of(command, '--json', '-c', 'qemu:///embed'), [false, true, true]);
      assert.deepEqual(await of(command, '--json'), [true, true, true]);
      await web.fails(['-c', 'foo:///', command], /the URI foo:\/\/\/ is not supported/);
    }
    const { code, stderr } = await web.run(['status', '-c', 'lxc:///', db.name, web.name]);
    assert.equal(code, 125);
    assert.match(stderr, new RegExp(`"${db.name}" is of "qemu:///embed"`));
  });

  it('is not taken for a word of a command', async (context) => {
    const service = serviceProgram(context);
    writeFile(service);
    const pattern =
      /the URI "?'?echo hi.* is not supported, and a command with options of its own stands behind --; see/;
    await service.fails(['execute', service.name, 'sh', '-c', 'echo hi'], pattern);
  });

  it('is that of an archive, or of one that names none', async (context) => {
    const service = serviceProgram(context);
    const { name, states } = service;
    const imported = `${name}-2`;
    const archive = join(states, 'archive.tar');
    await service.create('-c', 'lxc:///', name, '--', 'true');
    await service.out('export', '-o', archive, name);
    const words = ['import', '--trust', '-p', states, archive, imported];
    await service.fails(['-c', 'qemu:///embed', ...words], /"lxc:\/\/\/", and --connect says "qemu:\/\/\/embed"/);
    await service.out('-c', 'lxc:///', ...words);
    await service.out('delete', imported);
    const file = join(service.roots.services, name, 'config/sandbox.cfg');
    writeFileSync(file, readFileSync(file, 'utf8').replace('connect=lxc:///\n', ''));
    await service.out('export', '-o', `${archive}-2`, name);
    await service.out('-c', 'lxc:///', 'import', '--trust', '-p', states, `${archive}-2`, imported);
    assert.match(await service.out('show', imported), /^connect=lxc:\/\/\/$/m);
  });
});

describe('--path of delete', { skip }, () => {
  async function created(context: TestContext): Promise<[service: ServiceProgram, other: string]> {
    const service = serviceProgram(context);
    await service.create(service.name, '--', 'true');
    return [service, scratchDirectory(context, WITH_ATTRIBUTES)];
  }

  it('is refused where the state is in another directory, and nothing is removed', async (context) => {
    const [service, other] = await created(context);
    const { name, states } = service;
    const says = `the state of the service "${name}" is in "${states}", and --path says "${other}"`;
    await service.fails(
      ['delete', '-p', other, name],
      new RegExp(`${says}; leave out --path, or give it "${states}"\n`),
    );
    await service.fails(['delete', '-p', '', name], /--path has an empty path/);
    assert.ok(isThere(service) && existsSync(join(states, name)));
  });

  for (const [what, spelled] of [
    ['as it was given', (path: string) => path],
    ['with a slash behind it', (path: string) => `${path}/`],
    [
      'by a link',
      (path: string, other: string) => {
        symlinkSync(path, join(other, 'link'));
        return join(other, 'link');
      },
    ],
  ] as const)
    it(`may be the directory ${what}`, async (context) => {
      const [service, other] = await created(context);
      await service.out('delete', '--path', spelled(service.states, other), service.name);
      assert.deepEqual([isThere(service), service.leftovers()], [false, []]);
    });

  it('is that of the content of libvirt-sandbox, which stays', async (context) => {
    const service = serviceProgram(context);
    const { name, states } = service;
    const content = join(states, name);
    mkdirSync(content);
    writeFile(service, '', `[mount.0]\ntype=GVirSandboxConfigMountHostBind\ntarget=${states}\nsource=${content}\n`);
    await service.fails(['delete', '-p', '/srv', name], new RegExp(`is in "${states}", and --path says "/srv"`));
    const { code, stderr } = await service.run(['delete', '-p', states, name]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /its content stays in/);
    assert.ok(existsSync(content));
  });

  it('is nothing for a file that names no directory', async (context) => {
    const service = serviceProgram(context);
    writeFile(service);
    await service.out('delete', '-p', service.states, service.name);
    assert.ok(!isThere(service));
  });
});
