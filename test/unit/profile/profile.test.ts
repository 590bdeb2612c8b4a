/** Profiles: the shipped ones, a user's own, and the kernel command lines that they give. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { kernelCommandLine } from '../../../src/domain/cmdline.js';
import { loadProfile, profileCalled, profileNames, shippedProfiles } from '../../../src/profile/load.js';
import { checkProfile } from '../../../src/profile/schema.js';
import type { KernelArgument, SkippedInitcall } from '../../../src/profile/types.js';
import { SandboxError } from '../../../src/util/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const fails = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof SandboxError && error.code === code && pattern.test(error.line);

describe('the profiles of the package', () => {
  for (const file of readdirSync(shippedProfiles())) {
    it(`${file} is valid, has its file's name, and gives a worth and a risk for every entry`, () => {
      const checked = checkProfile(JSON.parse(readFileSync(join(shippedProfiles(), file), 'utf8')));
      assert.ok('profile' in checked, 'wrong' in checked ? checked.wrong : '');
      const { name, kernelArguments = [], initcallBlacklist = [] } = checked.profile;
      assert.equal(`${name}.json`, file);
      for (const { why, worth, risk } of [...kernelArguments, ...initcallBlacklist])
        for (const text of [why, worth, risk]) assert.notEqual(text.trim(), '');
    });
  }

  it('have the worths of docs/boot-time.md, as measured from the profile default', async () => {
    const page = readFileSync('docs/boot-time.md', 'utf8');
    const [, whole = ''] = /^as it is \(default\): ([\d.]+) M instructions$/m.exec(page) ?? [];
    const base = await loadProfile('default');
    const here = [...base.kernelArguments, ...base.initcallBlacklist].map(nameOf);
    for (const name of SHIPPED.map((file) => file.replace('.json', ''))) {
      const { kernelArguments, initcallBlacklist } = await loadProfile(name);
      for (const one of [...kernelArguments, ...initcallBlacklist]) {
        const leftOut = here.includes(nameOf(one));
        const change = 'argument' in one ? ['with', 'without'] : ['skipping', 'without skipping'];
        const label = `${change[leftOut ? 1 : 0]} ${nameOf(one)} `;
        const line = page.split('\n').find((text) => text.startsWith(label)) ?? '';
        const [, saved = '', share = ''] = /[−+]([\d.]+) M instructions +-?([\d.]+ %)/.exec(line) ?? [];
        const worth = `${saved} M instructions ${leftOut ? 'beside' : 'of'} ${whole} M (${share})`;
        assert.equal(one.worth.split(';')[0], worth, `${name}: ${nameOf(one)}`);
      }
    }
  });

  it('have the worths under KVM of docs/boot-time.md, as measured from the profile default', async () => {
    const [, page = ''] = readFileSync('docs/boot-time.md', 'utf8').split('\n## What each thing is worth under KVM');
    const [, ports = 0, registers = 0] =
      /exits to KVM: .*io_exits (\d+).*mmio_exits (\d+)/.exec(page)?.map(Number) ?? [];
    const base = await loadProfile('default');
    const names = [...base.kernelArguments, ...base.initcallBlacklist].map(nameOf);
    for (const name of ['default', 'fast']) {
      const { kernelArguments, initcallBlacklist } = await loadProfile(name);
      for (const one of [...kernelArguments, ...initcallBlacklist]) {
        const leftOut = names.includes(nameOf(one));
        const change = 'argument' in one ? ['with', 'without'] : ['skipping', 'without skipping'];
        const label = `${change[leftOut ? 1 : 0]} ${nameOf(one)} `;
        const line = page.split('\n').find((text) => text.startsWith(label)) ?? '';
        const [, exits = ''] = / [−+]\d+ +[−+](\d+)(?: {2}|$)/.exec(line) ?? [];
        const worth = `${exits} exits to QEMU ${leftOut ? 'beside' : 'of'} ${ports + registers}`;
        assert.equal(one.worthKvm?.split(';')[0], worth, `${name}: ${nameOf(one)}`);
      }
    }
  });

  it('are three', () => assert.deepEqual(readdirSync(shippedProfiles()).sort(), SHIPPED));
});

const nameOf = (one: KernelArgument | SkippedInitcall) => ('argument' in one ? one.argument : one.initcall);
const SHIPPED = ['compatible.json', 'default.json', 'fast.json'];

describe('a profile that extends another', () => {
  const write = (directory: string, name: string, more: object) => {
    const path = join(directory, 'libvirt-sandbox/profiles', `${name}.json`);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, JSON.stringify({ format: 1, name, description: '', ...more }));
  };
  const { XDG_CONFIG_HOME } = process.env;
  afterEach(() => {
    if (XDG_CONFIG_HOME === undefined) delete process.env['XDG_CONFIG_HOME'];
    else process.env['XDG_CONFIG_HOME'] = XDG_CONFIG_HOME;
  });

  it('inherits all entries, and overrides single values', async (t) => {
    process.env['XDG_CONFIG_HOME'] = scratchDirectory(t);
    const argument = { argument: 'edd=off', why: 'w', worth: 'w', risk: 'r' };
    write(process.env['XDG_CONFIG_HOME'], 'mine', {
      ...{ extends: 'fast', kernelArguments: [argument], machine: { bus: 'ports' }, image: { initrd: 'gzip' } },
      ...{ moduleSets: ['block'], moduleSignatures: 'checked' },
    });
    const [mine, fast, base] = [await loadProfile('mine'), await loadProfile('fast'), await loadProfile('default')];
    assert.deepEqual(mine, {
      ...fast,
      ...{ name: 'mine', description: '', kernelArguments: [...fast.kernelArguments, argument] },
      machine: { ...fast.machine, bus: 'ports' },
      image: { initrd: 'gzip' },
      ...{ moduleSets: ['block'], moduleSignatures: 'checked' },
    });
    assert.deepEqual(fast.kernelArguments.slice(0, base.kernelArguments.length), base.kernelArguments);
    assert.deepEqual(fast.initcallBlacklist.slice(0, base.initcallBlacklist.length), base.initcallBlacklist);
  });

  it('must not extend itself, nor a missing profile, nor be another kind of file', async (t) => {
    const directory = scratchDirectory(t);
    process.env['XDG_CONFIG_HOME'] = directory;
    write(directory, 'one', { extends: 'two' });
    write(directory, 'two', { extends: 'one' });
    await assert.rejects(loadProfile('one'), fails('profile-invalid', /one extends two extends one/));
    write(directory, 'three', { extends: 'none' });
    await assert.rejects(loadProfile('three'), fails('profile-unknown', /no profile none/));
    write(directory, 'four', { extends: 'fast', machine: { bus: 'none' } });
    await assert.rejects(loadProfile('four'), fails('profile-invalid', /machine\.bus/));
    write(directory, 'five', {});
    await assert.rejects(loadProfile('five'), fails('profile-invalid', /kernelArguments/));
  });
});

describe('finding a profile', () => {
  const { XDG_CONFIG_HOME, VIRT_SANDBOX_PROFILE } = process.env;
  afterEach(() => {
    for (const [name, value] of Object.entries({ XDG_CONFIG_HOME, VIRT_SANDBOX_PROFILE })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  it('default; by the environment; by name; by path', async (t) => {
    const directory = scratchDirectory(t);
    process.env['XDG_CONFIG_HOME'] = directory;
    delete process.env['VIRT_SANDBOX_PROFILE'];
    assert.equal((await loadProfile()).name, 'default');
    process.env['VIRT_SANDBOX_PROFILE'] = 'fast';
    assert.equal((await loadProfile()).name, 'fast');
    assert.equal((await loadProfile('compatible')).name, 'compatible');

    const own = {
      ...(await loadProfile('compatible')),
      name: 'mine',
      moduleSets: ['block'],
      qemuArguments: ['-D', 'x'],
    };
    const path = join(directory, 'libvirt-sandbox/profiles/mine.json');
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, JSON.stringify(own));
    assert.deepEqual(await loadProfile('mine'), own);
    assert.deepEqual(await loadProfile(path), own);
    assert.deepEqual(profileNames(), ['compatible', 'default', 'fast', 'mine']);
  });

  it('names it so that it is found from any directory', () => {
    process.env['VIRT_SANDBOX_PROFILE'] = '';
    assert.equal(profileCalled(), 'default');
    process.env['VIRT_SANDBOX_PROFILE'] = './own.json';
    assert.equal(profileCalled(), join(process.cwd(), 'own.json'));
    assert.equal(profileCalled('fast'), 'fast');
  });

  it('may be a link to a file, and is nothing that is waited for or has no end', async (t) => {
    const path = join(scratchDirectory(t), 'p.json');
    symlinkSync(join(shippedProfiles(), 'fast.json'), path);
    assert.equal((await loadProfile(path)).name, 'fast');
    const fifo = `${path}.fifo`;
    execFileSync('mkfifo', [fifo]);
    writeFileSync(`${path}.large`, '');
    truncateSync(`${path}.large`, (1 << 20) + 1);
    for (const other of [fifo, '/dev/zero', `${path}.large`])
      await assert.rejects(
        loadProfile(other),
        fails('profile-unknown', /the profile \S+ is (?:not a regular file|larger than 1048576 bytes); /),
      );
  });

  it('lists the profiles, and reports an invalid one', async (t) => {
    const directory = scratchDirectory(t);
    process.env['XDG_CONFIG_HOME'] = directory;
    await assert.rejects(
      loadProfile('none'),
      fails('profile-unknown', /no profile none; use one of compatible, default, fast/),
    );
    await assert.rejects(loadProfile('./none'), fails('profile-unknown', /no profile \.\/none/));
    await assert.rejects(loadProfile(directory), fails('profile-unknown', /is not a regular file; name a file/));
    const path = join(directory, 'p.json');
    const write = (text: string) => writeFileSync(path, text);
    write('{');
    await assert.rejects(loadProfile(path), fails('profile-invalid', /p\.json is not valid: /));
    const good = await loadProfile('compatible');
    const argument = { argument: 'quiet init=/bin/sh', why: '', worth: '', risk: '' };
    write(JSON.stringify({ ...good, kernelArguments: [argument] }));
    await assert.rejects(loadProfile(path), fails('profile-invalid', /kernelArguments\.0\.argument: /));
    write(JSON.stringify({ ...good, kernelArguments: [{ ...argument, argument: '--' }] }));
    await assert.rejects(loadProfile(path), fails('profile-invalid', /kernelArguments\.0\.argument: /));
    write(JSON.stringify({ ...good, more: 1 }));
    await assert.rejects(loadProfile(path), fails('profile-invalid', /more/));
  });
});

describe("the kernel's command line", () => {
  const reason = { why: '', worth: '', risk: '' };
  const profile = {
    kernelArguments: [{ argument: 'a=b', ...reason }],
    initcallBlacklist: [
      { initcall: 'one', ...reason },
      { initcall: 'two', ...reason },
    ],
  };

  it("has what every sandbox needs, then the profile's arguments", () => {
    assert.equal(
      kernelCommandLine(profile, {}),
      'console=ttyS0 panic=-1 no_timer_check a=b initcall_blacklist=one,two quiet loglevel=1',
    );
    assert.equal(
      kernelCommandLine({ kernelArguments: [], initcallBlacklist: [] }, {}),
      'console=ttyS0 panic=-1 no_timer_check quiet loglevel=1',
    );
  });

  it('clears memory, whatever the profile says, when others write to it behind the emulator', () => {
    const told = { ...profile, kernelArguments: [{ argument: 'init_on_alloc=0', ...reason }] };
    assert.match(kernelCommandLine(told, { writtenBehindEmulator: true }), / init_on_alloc=0 init_on_alloc=1 /);
  });

  it('shows everything for debugging', () => {
    assert.match(kernelCommandLine(profile, { debug: true }), / a=b .* debug loglevel=10 .* -- --debug$/);
  });

  it("tells the init to skip signature checks, after the kernel's arguments", () => {
    const unchecked = { ...profile, moduleSignatures: 'unchecked' as const };
    assert.match(kernelCommandLine(unchecked, {}), / quiet loglevel=1 -- --unchecked-modules$/);
    assert.match(kernelCommandLine(unchecked, { debug: true }), / -- --debug --unchecked-modules$/);
    assert.doesNotMatch(kernelCommandLine({ ...profile, moduleSignatures: 'checked' }, { debug: true }), /unchecked/);
  });
});
