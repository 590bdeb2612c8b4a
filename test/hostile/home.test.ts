/**
 * Promise: with `--home tmp` and `--home DIR` nothing is seen of the homes of the caller and of the user inside, and what
 * a guest leaves in DIR is out of everybody else's reach. The attacker is root inside, with every capability.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { mounted } from '../helpers/hide.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, type RunOptions, runSandbox } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-home-');
const NOBODY = 65_534;

/** A home whose secrets everybody may read, also those that are no known place of keys. */
function makeHome(name: string, owner: number): string {
  const home = join(ground, name, 'home');
  for (const path of ['', '.ssh', '.aws', 'own', 'own/deep'])
    mkdirSync(join(home, path), { recursive: true, mode: 0o755 });
  for (const path of ['.ssh/id', '.aws/credentials', '.netrc', 'own/deep/secret', '.bash_history'])
    writeFileSync(join(home, path), 'SECRET\n', { mode: 0o644 });
  chownSync(home, owner, owner);
  return home;
}

before(() => chmodSync(ground, 0o755));
after(() => rmSync(ground, { recursive: true, force: true }));

const looks = (home: string) => ({
  there: `grep -rs SECRET ${home}; ls -A ${home}`,
  home: 'grep -rs SECRET ~',
  process: `for root in /proc/1/root /proc/self/root /proc/self/cwd; do grep -rs SECRET $root${home}; done`,
  unmounted: `umount -l ${home}; umount -l ~; grep -rs SECRET ${home} ~; ls -A ${home}`,
  // Over whatever it has its root.
  share: `mkdir -p /tmp/9; mount -t virtiofs sandbox:rootfs /tmp/9 || mount -t 9p -o trans=virtio,version=9p2000.L sandbox:root /tmp/9; ls /tmp/9/etc/hostname; grep -rs SECRET /tmp/9${home}`,
  bound: `mkdir -p /tmp/b; mount --bind / /tmp/b; grep -rs SECRET /tmp/b${home}`,
  link: `ln -s ${home} /tmp/l; grep -rs SECRET /tmp/l/ /tmp/l/own/deep`,
  elsewhere: `grep -rs SECRET ${dirname(home)}`,
  known: `cat ${home}/.ssh/id ${home}/.aws/credentials ${home}/.netrc ${home}/own/deep/secret`,
});

async function assertUnseen(home: string, args: readonly string[], options: RunOptions): Promise<void> {
  const earlier = fingerprint(home);
  const found = await ask([...ACCEL, ...args], looks(home), options);
  for (const [name, answer] of Object.entries(found)) assert.doesNotMatch(answer, /SECRET/, `${args}: ${name}`);
  assert.equal(fingerprint(home), earlier);
}

/** Another user cannot start a program. setpriv(1) would look for it with root's capabilities. */
function assertClosed(program: string, uid = NOBODY): void {
  assert.throws(() => execFileSync(program, { uid, gid: uid, stdio: 'pipe' }), { code: 'EACCES' });
}

for (const way of [embedded, system]) {
  describe(`root inside, over ${way.uri}`, { skip: way.skip }, () => {
    const on = ['-c', way.uri];

    it('sees the home where it is not kept from view, so that the others prove something', async () => {
      const home = makeHome(`seen-${way.uri.slice(-5)}`, 0);
      const found = await ask([...on, ...ACCEL, '--home', 'host'], looks(home), { env: { HOME: home } });
      assert.match(found.elsewhere, /own\/deep\/secret:SECRET/);
      assert.doesNotMatch(found.known.replace(/^SECRET$/m, ''), /SECRET/);
    });

    for (const more of [[], ['-p'], ['-p', '--overlay'], ['--hide', 'none', '-p', '--boot', 'cold']])
      it(`sees nothing of it with tmp ${more.join(' ')}`, () => {
        const home = makeHome(`tmp-${way.uri.slice(-5)}`, 0);
        return assertUnseen(home, [...on, ...more, '--home', 'tmp'], { env: { HOME: home } });
      });

    it('nor with a directory, also one that is in it', { skip: unlessProgram('virtiofsd') }, async () => {
      const home = makeHome(`kept-${way.uri.slice(-5)}`, 0);
      const boxes = join(home, 'boxes');
      for (const path of [boxes, join(boxes, 'one')]) mkdirSync(path, { mode: 0o700 });
      await assertUnseen(home, [...on, '-p', '--home', join(boxes, 'one')], { env: { HOME: home } });
    });

    it('leaves no program there that others can start', { skip: unlessProgram('virtiofsd') }, async () => {
      const box = join(ground, `boxes-${way.uri.slice(-5)}`, 'one');
      const home = makeHome(`programs-${way.uri.slice(-5)}`, 0);
      const found = await ask(
        [...on, ...ACCEL, '--home', box],
        { leave: 'cp /usr/bin/id ~/id && chmod 4755 ~/id && chmod 777 ~ && stat -c %a ~ ~/id' },
        { env: { HOME: home } },
      );
      assert.equal(found.leave, '777\n4755');
      // The attacker did open it. What is above it keeps others out.
      assert.equal(statSync(box).mode & 0o7777, 0o777);
      assertClosed(join(box, 'id'));
      // It is not used again as it is.
      const refused = await runSandbox([...on, ...ACCEL, '--home', box, '--', 'true'], { env: { HOME: home } });
      assertFailure(refused, /its mode lets others in; chmod 700/);
    });
  });
}

describe('a secret that is a link out of the home', { skip: embedded.skip }, () => {
  for (const more of [[], ['-p']])
    it(`is not seen where the link leads to ${more.join(' ')}`, async () => {
      const home = makeHome(`linked${more.join('')}`, 0);
      const data = join(ground, `data${more.join('')}`);
      mkdirSync(data);
      writeFileSync(join(data, 'id'), 'SECRET\n', { mode: 0o644 });
      symlinkSync(data, join(home, '.gnupg'));
      const facts = { link: `cat ${home}/.gnupg/id`, data: `cat ${data}/id; grep -rs SECRET ${data}` };
      const args = ['-c', embedded.uri, ...ACCEL, ...more];
      const env = { HOME: home };
      assert.match((await ask([...args, '--hide', 'none'], facts, { env })).data, /^SECRET/);
      const found = await ask([...args, '--home', 'tmp'], facts, { env });
      for (const answer of Object.values(found)) assert.doesNotMatch(answer, /SECRET/);
    });
});

describe('a home that the host shows elsewhere', { skip: embedded.skip }, () => {
  it('is not seen there either', async (t) => {
    const home = makeHome('bound', 0);
    const other = join(ground, 'other');
    const above = `${ground}-above`;
    for (const path of [other, above]) mkdirSync(path);
    t.after(() => rmSync(above, { recursive: true }));
    const through = mounted(`mount --bind '${home}' '${other}'; mount --bind '${ground}' '${above}'`);
    const args = ['-c', embedded.uri, ...ACCEL, '-p'];
    const facts = { other: `cat ${other}/own/deep/secret`, above: `cat ${above}/bound/home/own/deep/secret` };
    const options = { env: { HOME: home }, through };
    assert.deepEqual(await ask(args, facts, options), { other: 'SECRET', above: 'SECRET' });
    const found = await ask([...args, '--home', 'tmp'], facts, options);
    for (const answer of Object.values(found)) assert.match(answer, /No such file or directory$/);
    // A link of the host's leads to what is hidden.
    symlinkSync(home, join(ground, 'link'));
    await assertUnseen(home, ['-c', embedded.uri, '-p', '--home', 'tmp'], { env: { HOME: join(ground, 'link') } });
  });
});

/** What has to be below a short path: sockets are there. */
function placesOf({ home }: OrdinaryUser): Record<string, string> {
  return { XDG_CACHE_HOME: join(home, '.cache'), XDG_CONFIG_HOME: join(home, '.config') };
}

describe("of an ordinary user's", { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri])
    it(`root inside sees nothing of that user's home over ${uri}`, async () => {
      const home = makeHome(`user-${uri.slice(-5)}`, NOBODY);
      const env = { ...user.options.env, HOME: home, ...placesOf(user) };
      const options = { ...user.options, env };
      const box = join(user.home, `boxes-${uri.slice(-5)}`, 'one');
      for (const value of ['tmp', box])
        for (const more of [[], ['-p']]) {
          // The home of root is another one, and the caller's is hidden too.
          await assertUnseen(home, ['-c', uri, ...more, '--home', value], options);
        }
      const leave = 'cp /usr/bin/id ~/id && chmod 4755 ~/id && chmod 777 ~ && echo left';
      assert.equal((await ask(['-c', uri, ...ACCEL, '--home', box], { leave }, options)).leave, 'left');
      assertClosed(join(box, 'id'), 1);
    });
});
