/** virt-sandbox-service clone, of services in containers. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { said } from '../helpers/ctl.js';
import { uniqueName } from '../helpers/leftovers.js';
import { removeServices, service } from '../helpers/making-services.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { runSandbox, SERVICE_PROGRAM, startSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { LIVES, SERVICES, serviceOf } from '../helpers/services.js';

const ONCE = `test -e /srv/ready || {
  printf '%032d\\n' 7 > /etc/machine-id.new && mv /etc/machine-id.new /etc/machine-id && rm -f /etc/hostname &&
    hostname > /etc/hostname && touch /srv/ready; }
  while sleep 0.1; do date >> /srv/log; done`;

/** A service that runs and has written its files. */
async function running(t: TestContext) {
  const path = scratchDirectory(t, WITH_ATTRIBUTES);
  const web = uniqueName();
  const clone = `${web}-2`;
  t.after(() => removeServices([clone, web], lxc.options));
  await done(['-c', lxc.uri, 'create', '-p', path, web, '--', '/bin/sh', '-c', ONCE]);
  await start(web);
  return { web, clone, path };
}

async function done(args: readonly string[]): Promise<string> {
  const { code, out, stderr } = await service(args, lxc.options);
  assert.equal(code, 0, stderr);
  return out;
}

async function start(name: string): Promise<void> {
  const file = join(SERVICES, name, 'config/sandbox.cfg');
  const { code, stderr } = await runSandbox(['--config', file, '-c', lxc.uri, '--detach'], lxc.options);
  assert.equal(code, 0, stderr);
  await inside(name, 'until test -e /srv/ready; do sleep 0.1; done');
}

function inside(name: string, words: string): Promise<string> {
  return said(['exec', name, '--', 'sh', '-c', words], lxc.options);
}

/** Files that a program writes to in turn. */
const FILES = 300;

/** Begins that. It goes on until its own file is removed. Files that are written in place are written fast. */
const TAKE_TURNS = `mkdir /srv/turns && touch /srv/going && {
  n=0; while test -e /srv/going; do
    n=$((n + 1)); f=0; while test $f -lt ${FILES}; do printf '%06d\\n' $n 1<>/srv/turns/$f; f=$((f + 1)); done
  done & } </dev/null >/dev/null 2>&1; until test -e /srv/turns/${FILES - 1}; do sleep 0.1; done`;

const GROWS = 'a=$(wc -l < /srv/log); until test $(wc -l < /srv/log) -gt $a; do sleep 0.1; done';

/** Some files have the turn in which they were copied, and the rest the one before. */
function assertOneMoment(numbers: string): void {
  const [first = 0, ...later] = numbers.trim().split('\n').map(Number);
  assert.ok(first > 0, numbers);
  assert.deepEqual(later, later.length === 0 ? [] : [first + 1]);
}

describe('a clone of a container', { skip: lxc.skip }, () => {
  for (const way of ['--live', '--stop'])
    it(`is made with ${way}, is as its source was at one moment, and both run side by side`, async (t) => {
      const { web, clone } = await running(t);
      await inside(web, TAKE_TURNS);
      const { changed, standstillMs } = JSON.parse(await done(['clone', way, '--json', web, clone]));
      assert.deepEqual(changed, ['/etc/machine-id', '/etc/hostname']);
      t.diagnostic(`${standstillMs} ms`);
      await inside(web, 'rm /srv/going');
      await start(clone);
      assertOneMoment(await inside(clone, 'sort -u /srv/turns/*'));
      const look = 'cat /etc/machine-id /etc/hostname; hostname; stat -c "%u:%g %a" /etc/machine-id';
      const [own, other] = [await inside(web, look), await inside(clone, look)];
      assert.equal(own, `${'0'.repeat(31)}7\n${web}\n${web}\n0:0 644\n`);
      assert.match(other, new RegExp(`^(?!0{31}7)[0-9a-f]{32}\n${clone}\n${clone}\n0:0 644\n$`));
      await inside(web, GROWS);
      await inside(clone, 'echo changed > /srv/ready');
      assert.equal(await inside(web, 'cat /srv/ready'), '');
    });

  it('has a source that goes on if the clone is killed meanwhile', async (t) => {
    const { web, clone, path } = await running(t);
    await inside(web, 'head -c 200M /dev/urandom > /srv/large');
    const cloning = startSandbox(['clone', '--live', web, clone], { ...lxc.options, program: SERVICE_PROGRAM });
    const hasBegun = () => readdirSync(path).some((name) => name !== web && readdirSync(join(path, name)).length > 0);
    await holdsDuring(cloning.result, hasBegun);
    cloning.child.kill('SIGKILL');
    await cloning.result;
    await inside(web, GROWS);
    await done(['clone', '--live', web, clone]);
    assert.deepEqual(readdirSync(path).sort(), [web, clone]);
  });

  it('that is killed has left its source stopped, which others learn, and the next clone starts it', async (t) => {
    const script = 'head -c 300M /dev/zero | tr "\\0" x >/srv/data; touch /srv/ready; exec sleep 1000';
    const options = ['-p', scratchDirectory(t, WITH_ATTRIBUTES), '--health', 'test -e /srv/ready'];
    const source = await serviceOf(t, lxc, { script, options, isKept: true });
    const clone = `${source.name}-2`;
    t.after(() => removeServices([clone], lxc.options));
    await source.ok(['start']);
    const file = (name: string) => join(LIVES, source.name, name);
    const isStopped = () => readFileSync(file('service.json'), 'utf8').includes('"phase":"stopped"');
    for (const [wayOn, state] of [
      ['start', 'running'],
      ['stop', 'stopped'],
      ['clone', 'running'],
    ] as const) {
      const cloning = startSandbox(['clone', '--stop', source.name, clone], {
        ...lxc.options,
        program: SERVICE_PROGRAM,
      });
      await holdsDuring(cloning.result, () => existsSync(file('stopped-for.json')) && isStopped());
      process.kill(cloning.pid, 'SIGKILL');
      assert.equal((await cloning.result).signal, 'SIGKILL');
      const { out } = await source.run(['status']);
      assert.match(
        out,
        new RegExp(
          `\n {2}stopped {3}to be cloned as ${clone}, by a process that was killed: start it with virt-sandbox-service `,
        ),
      );
      await source.ok([wayOn], wayOn === 'clone' ? [clone] : []);
      const { state: now } = await source.status();
      assert.equal(now, state);
      assert.doesNotMatch((await source.run(['status'])).out, /by a process that was killed/);
      if (state === 'stopped') await source.ok(['start']);
    }
    // Nothing is left of those that were killed.
    assert.deepEqual(
      readdirSync(SERVICES).filter((name) => name.startsWith(`.${clone}.`) && !name.endsWith('.lock')),
      [],
    );
  });
});
