/** virt-sandbox-service: services are made, shown, changed and removed; nothing is started. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';
import { serviceProgram } from '../../../helpers/serving.js';

const skip = unlessRoot('services of root have states in directories');

/** A program that `EDITOR` names. @returns its path */
function editor(directory: string, script: string): string {
  const path = join(directory, 'edit');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe('virt-sandbox-service create', { skip }, () => {
  it('makes a service that list and show know, and delete removes', async (context) => {
    const service = serviceProgram(context);
    const { name, states } = service;
    await service.create('-c', 'lxc:///', '--publish', '8081:80', name, '--', '/bin/sleep', '1h');
    const shown = (await service.json('show', name)) as Record<string, unknown>;
    assert.deepEqual(
      [shown['name'], shown['kind'], shown['command'], shown['connect'], shown['privileged'], shown['restart']],
      [name, 'generic', ['/bin/sleep', '1h'], 'lxc:///', false, 'no'],
    );
    assert.deepEqual(shown['state'], { type: 'directory', path: join(states, name) });
    assert.deepEqual(shown['publish'], ['127.0.0.1:8081:80']);
    assert.equal(statSync(join(states, name)).mode & 0o7777, 0o700);
    assert.match(await service.out('show', name), /^\[api\]\nclass=GVirSandboxConfigServiceGeneric\n/);
    assert.match(await service.out('list'), new RegExp(`^${name} +stopped +generic +8081->80 +/bin/sleep 1h$`, 'm'));
    assert.ok((await service.out('list', '-q')).split('\n').includes(name));
    assert.ok(!(await service.out('list', '-q', '-r')).split('\n').includes(name));
    assert.equal(await service.out('delete', name), '');
    assert.deepEqual(service.leftovers(), []);
  });

  it('starts with the host if it is to', async (context) => {
    const service = serviceProgram(context);
    await service.create('--autostart', service.name, '--', 'true');
    assert.equal(((await service.json('show', service.name)) as { autostart: unknown }).autostart, true);
    assert.match(await service.out('show', service.name), /^autostart=true$/m);
  });

  it('takes -c before the command, as libvirt-sandbox does', async (context) => {
    const service = serviceProgram(context);
    await service.out('-c', 'lxc:///', 'create', '-p', service.states, service.name, '--', 'true');
    assert.match(await service.out('show', service.name), /^connect=lxc:\/\/\/$/m);
  });

  it('keeps the state in an image of the size that is asked for', async (context) => {
    const service = serviceProgram(context);
    await service.create('--imagesize', '200', service.name, '--', 'true');
    const path = join(service.states, `${service.name}.qcow2`);
    const shown = (await service.json('show', service.name)) as Record<string, unknown>;
    assert.deepEqual(shown['state'], { type: 'image', path });
    assert.equal(readFileSync(path).readBigUInt64BE(24), 200_000_000n);
    await service.out('delete', service.name);
    assert.deepEqual(service.leftovers(), []);
  });

  it('has the user that the options say', async (context) => {
    const service = serviceProgram(context);
    await service.create(...['-U', '54321', '-G', '0', '--homedir', '/srv'], service.name, '--', 'true');
    const { user } = (await service.json('show', service.name)) as { user: object };
    assert.deepEqual(user, { uid: 54321, gid: 0, name: '54321', home: '/srv' });
  });

  it('has the user that the long options say', async (context) => {
    const service = serviceProgram(context);
    const user = ['--uid', '54321', '--gid', '54322', '--username', 'web', '--homedir', '/srv'];
    await service.create(...user, service.name, '--', 'true');
    const shown = (await service.json('show', service.name)) as { user: object };
    assert.deepEqual(shown.user, { uid: 54321, gid: 54322, name: 'web', home: '/srv' });
  });

  it('says which service has the same port of this host', async (context) => {
    const service = serviceProgram(context);
    const other = `${service.name}-2`;
    await service.create('--publish', '18081:80', service.name, '--', 'true');
    const create = async (publish: string) => {
      const { stderr } = await service.run(['create', '-p', service.states, '--publish', publish, other, '--', 'true']);
      await service.out('delete', other);
      return stderr;
    };
    const told = `virt-sandbox-service: port 18081 is that of ${service.name}, too: only one of them can run\n`;
    assert.equal(await create('18081:81'), told);
    assert.equal(await create('0.0.0.0:18081:81'), told);
    assert.equal(await create('127.0.0.2:18081:81'), '');
  });

  it('refuses what exists, and touches nothing of it', async (context) => {
    const service = serviceProgram(context);
    const { name, states } = service;
    mkdirSync(join(states, name));
    writeFileSync(join(states, name, 'kept'), 'kept');
    await service.fails(['create', '-p', states, name, '--', 'true'], /is there already, and the state of the service/);
    assert.deepEqual(service.leftovers(), [name]);
    assert.equal(readFileSync(join(states, name, 'kept'), 'utf8'), 'kept');
    const other = join(states, 'other');
    mkdirSync(other);
    await service.out('create', '-p', other, name, '--', 'true');
    const before = await service.out('show', name);
    await service.fails(['create', '-p', other, name, '--', 'false'], /there is a service "/);
    assert.equal(await service.out('show', name), before);
  });

  const REFUSED: readonly (readonly [args: readonly string[], pattern: RegExp])[] = [
    [['../x', '--', 'true'], /"\.\.\/x" cannot be the name of a service/],
    [['.x', '--', 'true'], /cannot be the name of a service/],
    [['-c', 'foo:///', 'NAME', '--', 'true'], /the URI foo:\/\/\/ is not supported/],
    [['NAME'], /the service "NAME" has no command and no unit/],
    [['-u', 'none', 'NAME'], /there is no unit "none.service"/],
    [['-u', 'dbus', 'NAME', '--', 'true'], /has a command and a unit; leave out one of them/],
    [['--imagesize', '5', 'NAME', '--', 'true'], /too little for a file system/],
    [['--imagesize', '5', '-c', 'lxc:///', 'NAME', '--', 'true'], /too little for a file system/],
    [['--restart', 'often', 'NAME', '--', 'true'], /--restart cannot be "often"; write no, on-failure, always/],
    [['-U', '-1', 'NAME', '--', 'true'], /--uid cannot be "-1"/],
    [['--privileged', '--uid', '33', 'NAME', '--', 'true'], /--privileged stays root and cannot go with --uid; leave/],
    [['--privileged', '--homedir', '/srv', 'NAME', '--', 'true'], /stays root and cannot go with --homedir/],
    [['--username', 'nobody', 'NAME', '--', 'true'], /"nobody" is the user 65534 here; give the number: --uid 65534/],
    [
      ['-c', 'qemu:///session', '--memory-limit', '1G', 'NAME', '--', 'true'],
      /--memory-limit takes control groups, and qemu:\/\/\/session makes none/,
    ],
    [
      ['-c', 'qemu:///embed', '--cpu-shares', '300', 'NAME', '--', 'true'],
      /--cpu-shares takes control groups, and qemu:\/\/\/embed makes none/,
    ],
    [['-u', 'dbus', '--gid', '0', 'NAME'], /systemd runs as root inside, so --unitfile cannot go with --gid; .*User=/],
    [['-r', '/nowhere', 'NAME', '--', 'true'], /the root directory, "\/nowhere", does not exist/],
    [['-p', '/nowhere/below', 'NAME', '--', 'true'], /"\/nowhere\/below" is not there/],
  ];
  for (const [args, pattern] of REFUSED)
    it(`refuses ${args.join(' ')}, and leaves nothing`, async (context) => {
      const service = serviceProgram(context);
      const named = args.map((word) => word.replace('NAME', service.name));
      const path = args.includes('-p') ? [] : ['-p', service.states];
      await service.fails(['create', ...path, ...named], new RegExp(pattern.source.replace('NAME', service.name)));
      assert.deepEqual(service.leftovers(), []);
    });

  it('lets one of two at once make it', async (context) => {
    const service = serviceProgram(context);
    const one = () => service.run(['create', '-p', service.states, service.name, '--', 'true']);
    const codes = (await Promise.all([one(), one(), one()])).map(({ code }) => code);
    assert.deepEqual(codes.sort(), [0, 125, 125]);
    assert.match(await service.out('show', service.name), /^argv\.0=true$/m);
  });
});

describe('virt-sandbox-service edit', { skip }, () => {
  it('changes the file of a service', async (context) => {
    const service = serviceProgram(context);
    await service.create(service.name, '--', 'true');
    const EDITOR = editor(service.states, 'sed -i "s/^argv.0=true/argv.0=false/" "$1"');
    assert.equal((await service.run(['edit', service.name], { env: { EDITOR, VISUAL: undefined } })).code, 0);
    const shown = (await service.json('show', service.name)) as Record<string, unknown>;
    assert.deepEqual(shown['command'], ['false']);
  });

  for (const [what, script, pattern] of [
    ['a file that is none', 'echo nonsense > "$1"', /neither a group nor a key/],
    [
      'a URI that libvirt does not have',
      'printf "[service]\\nconnect=foo:///\\n" >> "$1"',
      /the URI foo:\/\/\/ is not supported/,
    ],
    ['another name', 'sed -i "s/^name=.*/name=other/" "$1"', /the file names the service "other"/],
    ['an editor that fails', 'exit 3', /ended with 3, so nothing is changed/],
  ] as const)
    it(`refuses ${what}, and changes nothing`, async (context) => {
      const service = serviceProgram(context);
      await service.create(service.name, '--', 'true');
      const before = await service.out('show', service.name);
      const EDITOR = editor(service.states, script);
      const TMPDIR = scratchDirectory(context);
      const env = { EDITOR, VISUAL: undefined, TMPDIR };
      const { code, stderr } = await service.run(['edit', service.name], { env });
      assert.equal(code, 125);
      assert.match(stderr, pattern);
      assert.equal(await service.out('show', service.name), before);
      // What was written is not lost.
      const [, kept] = /what was written is kept in (.*)\n/.exec(stderr) ?? [];
      if (kept === undefined) assert.deepEqual([script, readdirSync(TMPDIR)], ['exit 3', []]);
      else assert.notEqual(readFileSync(kept, 'utf8'), before);
    });

  it('refuses to overwrite what somebody else has changed meanwhile', async (context) => {
    const service = serviceProgram(context);
    await service.create(service.name, '--', 'true');
    const file = join(service.roots.services, service.name, 'config/sandbox.cfg');
    const EDITOR = editor(service.states, `echo '#' >> "$1"; echo '# other' >> ${file}`);
    const env = { EDITOR, VISUAL: undefined, TMPDIR: scratchDirectory(context) };
    const { stderr } = await service.run(['edit', service.name], { env });
    assert.match(stderr, /somebody else has changed the service/);
    assert.match(readFileSync(file, 'utf8'), /# other\n$/);
  });
});

describe('virt-sandbox-service delete', { skip }, () => {
  it('says which names there are not, and removes the others', async (context) => {
    const service = serviceProgram(context);
    await service.create(service.name, '--', 'true');
    await service.fails(['delete', `${service.name}-none`, service.name], /there is no service/);
    assert.deepEqual(service.leftovers(), []);
  });

  it('removes one also before the first sandbox since the host has booted', async (context) => {
    const service = serviceProgram(context);
    await service.create('-c', 'lxc:///', service.name, '--', 'true');
    const hidden = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh'];
    const { code, stderr } = await service.run(['delete', service.name], { through: hidden });
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(service.leftovers(), []);
  });

  it('keeps what is not what was made', async (context) => {
    const service = serviceProgram(context);
    const { name, states } = service;
    await service.create('-i', '200', name, '--', 'true');
    const path = join(states, `${name}.qcow2`);
    const { code, stderr } = await service.run(['show', name]);
    assert.equal(code, 0, stderr);
    // The name of the first file goes to another one, which has another inode while the first one is there.
    renameSync(path, `${path}.first`);
    writeFileSync(path, "somebody's");
    const removed = await service.run(['delete', name]);
    assert.equal(removed.code, 0);
    assert.match(removed.stderr, /stays: it is not what was made for the service/);
    assert.equal(readFileSync(path, 'utf8'), "somebody's");
    assert.ok(existsSync(`${path}.first`));
  });

  it('lists a broken one, and removes it', async (context) => {
    const service = serviceProgram(context);
    await service.create(service.name, '--', 'true');
    const file = join(service.roots.services, service.name, 'config/sandbox.cfg');
    writeFileSync(file, '[api\n');
    assert.match(await service.out('list'), new RegExp(`^${service.name} +broken +- +- +.*neither a group`, 'm'));
    const { code, out } = await service.run(['status', service.name]);
    assert.equal(code, 3);
    assert.match(out, /: stopped, never started\n {2}broken {4}.*neither a group/);
    await service.out('delete', service.name);
    assert.deepEqual(service.leftovers(), []);
  });
});

describe('virt-sandbox-service import', () => {
  it('names what it cannot read', async (context) => {
    const service = serviceProgram(context);
    for (const path of [service.states, '/dev/null', join(service.states, 'none')]) {
      const { code, stderr } = await service.run(['import', path, service.name]);
      assert.equal(code, 125);
      assert.match(stderr, /^virt-sandbox-service: service: the archive ".*" cannot be read: /);
    }
  });
});
