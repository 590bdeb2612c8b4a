/**
 * Promise: services of one host do not reach each other, whatever they run, and share the programs of the host: those
 * that are newer serve after a restart, and each service keeps its state.
 * Twenty sites are served by the nginx of the host, 16 in containers and 4 in machines. The attacker is root in one of
 * each. The victims are the other sites and the host.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readIfThere } from '../../src/util/small-files.js';
import { besideLxc, embedded, enterLxc, lxc } from '../helpers/connections.js';
import { HostedNginx, SITE } from '../helpers/hosted-nginx.js';
import { unlessNginx } from '../helpers/nginx-packages.js';
import { scratchDirectory } from '../helpers/scratch.js';
import type { Status as AnyStatus } from '../helpers/services.js';
import { type ServiceProgram, serviceProgram } from '../helpers/serving.js';

const CONTAINERS = 16;
const MACHINES = 4;
/** How each is started, and what it may have of the host: a machine has its memory, and QEMU what it needs itself. */
const WORDS = {
  container: ['-c', lxc.uri, '--memory-limit', '64M'],
  machine: ['-c', embedded.uri, '--accel', 'tcg', '--memory', '192M'],
} as const;
/** A site that may have a quarter of a processor, too. */
const SLOWED = 1;
const QUOTA = ['--cpu-quota', '25000'];
/** Where there is room to swap, no limit of memory ends a program. The first line is a heading. proc_swaps(5) */
const HAS_SWAP = (readIfThere('/proc/swaps') ?? '').trim().split('\n').length > 1;
/** Of a machine, as the kernel of the host counts it, in kB. */
const MACHINE_KB = 192 << 10;
/** Where the sockets of holders, and of their sandboxes, are. */
const HOLDERS = ['/run/libvirt-sandbox-services', '/run/libvirt-sandbox'];
/** Of a line without an end, tail keeps all. */
const HUNGRY = 'head -c 200M /dev/zero | tail -n 1 >/dev/null; echo $?';

/** A limit of a container in its control group, of version 1 or else 2. */
function limitOf(name: string, ...files: readonly string[]): string {
  const found = files.map((file) => `-path '*lxc*${name}.libvirt-lxc/${file}'`).join(' -o ');
  return besideLxc('sh', '-c', `cat $(find /sys/fs/cgroup ${found} | head -n 1)`).trim();
}

const HEALTH = `bash -c 'exec 3<>/dev/tcp/127.0.0.1/80'`;

interface Site {
  readonly name: string;
  readonly platform: 'container' | 'machine';
  readonly content: string;
}

type Status = AnyStatus & { readonly name: string };

/** How many start at once: the host has two processors. */
const AT_ONCE = 3;

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** What a site answers with, and which configuration it has. */
interface Answer {
  readonly body: string;
  readonly configuration: string;
}

function fetched(host: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(`http://${host}/`, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ body: body.trim(), configuration: String(response.headers['configuration']) }),
      );
    }).on('error', reject);
  });
}

describe('services that host sites', {
  skip: lxc.skip || embedded.skip || unlessNginx,
}, () => {
  const cleanUp: (() => unknown)[] = [];
  const context = { after: (work: () => unknown) => void cleanUp.unshift(work) } as Parameters<
    typeof serviceProgram
  >[0];
  let service: ServiceProgram;
  let nginx: HostedNginx;
  let sites: readonly Site[] = [];
  let secret: string;

  /** In the mount namespace of the libvirtd for containers. */
  const run = async (...args: readonly string[]) => {
    const { code, out, stderr } = await service.run(args, { through: enterLxc });
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return out;
  };
  /** Of this test's alone. */
  const status = async () => {
    // Its exit status is that of the one which runs least.
    const { out } = await service.run(['status', '--json', ...sites.map(({ name }) => name)], { through: enterLxc });
    return JSON.parse(out) as Status[];
  };
  /** Where each answers; it changes with each start. */
  const ports = async () => new Map((await status()).map(({ name, ports: [port] }) => [name, port?.host ?? '']));
  /** Of the program that serves, which may not be the one of its path any more. */
  const digestOf = async (name: string) => {
    const out = await run('execute', name, '--', 'sh', '-c', `sha256sum </proc/$(cat ${SITE}/nginx.pid)/exe`);
    return out.split(' ', 1)[0];
  };

  /** What a QEMU has of the host, in kB: as the memory of its machine, which is its largest mapping, and else. proc_pid_smaps(5) */
  const memoryOfQemu = async (name: string) => {
    const pid = besideLxc('pgrep', '-f', `^\\S*qemu-system-\\S+ -name guest=${name},`).trim();
    const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
    const kbOf = (mapping: string, key: string) => Number(new RegExp(`^${key}: +(\\d+) kB`, 'm').exec(mapping)?.[1]);
    const own = mappings.find((mapping) => kbOf(mapping, 'Size') === MACHINE_KB) ?? '';
    const all = mappings.reduce((sum, mapping) => sum + kbOf(mapping, 'Rss'), 0);
    return { own: kbOf(own, 'Rss'), rest: all - kbOf(own, 'Rss') };
  };

  before(async () => {
    service = serviceProgram(context);
    const ground = scratchDirectory(context, '/var/tmp');
    nginx = new HostedNginx(join(ground, 'nginx'));
    secret = join(ground, 'secret');
    writeFileSync(secret, 'of the host', { mode: 0o600 });
    sites = Array.from({ length: CONTAINERS + MACHINES }, (_, number) => {
      const platform = number < CONTAINERS ? 'container' : 'machine';
      return { name: `${service.name}-${number}`, platform, content: `site ${number}` };
    });
    await inTurns(sites, async (site) => {
      const { name, platform } = site;
      const own = ['--path', service.states, '--copy-path', nginx.configuration, '--publish', '80', '--health', HEALTH];
      if (site === sites[SLOWED]) own.push(...QUOTA);
      await run('create', ...WORDS[platform], ...own, name, '--', ...nginx.command);
      await run('start', name);
    });
  });
  after(async () => {
    const names = sites.map(({ name }) => name);
    const options = { through: enterLxc, timeout: 300_000 };
    if (names.length > 0) await service.run(['delete', ...names], options).catch(() => {});
    for (const work of cleanUp) await work();
  });

  it('serve each its own state, on a port of its own', async (t) => {
    await inTurns(sites, async ({ name, content }) => {
      await run('execute', name, '--', 'sh', '-c', `echo ${content} > ${SITE}/www/index.html`);
    });
    const all = await status();
    assert.deepEqual(
      all.map(({ state }) => state),
      sites.map(() => 'running'),
    );
    assert.equal(new Set(all.map(({ ports }) => ports[0]?.host)).size, sites.length);
    for (const { name, content } of sites) {
      const found = await fetched(all.find((one) => one.name === name)?.ports[0]?.host ?? '');
      assert.deepEqual(found, { body: content, configuration: 'older' });
    }
    for (const platform of ['container', 'machine'] as const) {
      const those = all.filter((_, at) => sites[at]?.platform === platform);
      const text = (key: 'memoryBytes' | 'holderBytes') =>
        those.map(({ memory }) => ((memory?.[key] ?? 0) / 2 ** 20).toFixed(1)).join(' ');
      t.diagnostic(`MiB of each ${platform}: ${text('memoryBytes')}; of what holds it: ${text('holderBytes')}`);
    }
  });

  it('have the limits that they were made with, in containers, from the control groups of the host', () => {
    const [first, slowed] = [0, SLOWED].map((at) => sites[at]?.name ?? '') as [string, string];
    assert.equal(limitOf(first, 'memory.limit_in_bytes', 'memory.max'), `${64 << 20}`);
    assert.match(limitOf(slowed, 'cpu.cfs_quota_us', 'cpu.max'), /^25000(?: 100000)?$/);
    assert.match(limitOf(first, 'cpu.cfs_quota_us', 'cpu.max'), /^(?:-1|max 100000)$/);
  });

  it('serve a newer version after a restart, and keep their state', async (t) => {
    const old = nginx.digest;
    if (!nginx.upgrade()) t.diagnostic('the archive has one version of nginx: the newer one is pretended');
    assert.notEqual(nginx.digest, old);
    const [first] = sites;
    assert.equal(await digestOf(first?.name ?? ''), old);
    // One of each kind gets the newer configuration, too, in the place of its copy.
    const upgraded = [0, CONTAINERS].map((at) => sites[at]);
    await inTurns(sites, async (site) => {
      const { name } = site;
      if (!upgraded.includes(site)) return void (await run('restart', name));
      await run('stop', name);
      assert.match(await run('upgrade', name), new RegExp(nginx.configuration));
      await run('start', name);
    });
    const at = await ports();
    await inTurns(sites, async (site) => {
      const { name, content } = site;
      const configuration = upgraded.includes(site) ? 'newer' : 'older';
      assert.deepEqual(await fetched(at.get(name) ?? ''), { body: content, configuration }, name);
      assert.equal(await digestOf(name), nginx.digest, name);
    });
  });

  /** In each of these somebody is root, who ends what served it. */
  const broken = [0, CONTAINERS];
  for (const at of broken) {
    it(`are out of reach of root in a ${at < CONTAINERS ? 'container' : 'machine'} among them`, async (t) => {
      const attacker = sites[at];
      // One of each kind.
      const victims = sites.filter((_, other) => broken.includes(other - 1));
      assert.ok(attacker);
      const hosts = await ports();
      const execute = (script: string) =>
        service.run(['execute', attacker.name, '--', 'sh', '-c', script], { through: enterLxc });
      const reaching = victims.flatMap(({ name }) => [
        // Its ports: it has a loopback of its own.
        `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${(hosts.get(name) ?? '').split(':')[1]}' 2>/dev/null && echo reached the port`,
        // Its state, and all that describes services.
        `ls ${service.states}/${name} 2>/dev/null && echo saw a state`,
        `cat ${service.roots.services}/${name}/config/sandbox.cfg 2>/dev/null && echo read a config`,
        // The sockets of its holder and of its sandbox, which have records beside them.
        ...HOLDERS.map((above) => `ls ${above}/${name} 2>/dev/null && echo saw a socket`),
        `grep ${name} /proc/net/unix && echo saw an abstract socket`,
      ]);
      reaching.push(
        `cat ${secret} 2>/dev/null && echo read a secret`,
        // Its processes.
        'grep -l nginx /proc/[0-9]*/comm 2>/dev/null | wc -l',
      );
      // They are there.
      for (const { name } of victims)
        for (const above of HOLDERS) assert.match(besideLxc('ls', `${above}/${name}`), /^control/m);
      // Its own master and worker.
      assert.equal((await execute(reaching.join('; '))).out.trim(), '2');
      const ofHost = () => [readFileSync(nginx.program), statSync('/bin/bash').mode];
      const before = ofHost();
      // The programs that all share. One that runs is not written to, but replaced.
      const { program } = nginx;
      for (const script of [
        `echo broken > ${program}; echo broken > ${program}.new; mv ${program}.new ${program}`,
        'rm -rf /usr/share/base-files; chmod 4755 /bin/bash',
      ]) {
        const { code, stderr } = await execute(script);
        assert.notEqual(code, 125, stderr);
      }
      const othersAnswer = async () => {
        for (const { name, content } of sites.filter((_, other) => !broken.includes(other)))
          assert.equal((await fetched(hosts.get(name) ?? '')).body, content, name);
      };
      let isOver = false;
      const hungry = execute(HUNGRY).finally(() => {
        isOver = true;
      });
      do await othersAnswer();
      while (!isOver);
      const { out, stderr } = await hungry;
      // A machine has no swap.
      assert.match(out, HAS_SWAP && attacker.platform === 'container' ? /^(?:0|137)\n$/ : /^137\n$/, stderr);
      if (attacker.platform === 'machine') {
        const { own, rest } = await memoryOfQemu(attacker.name);
        t.diagnostic(`MiB of the machine that took all it got: ${own >> 10}; of its QEMU besides: ${rest >> 10}`);
        assert.ok(own > MACHINE_KB * 0.8 && own <= MACHINE_KB, `${own} kB`);
      }
      // At last, since its own nginx ends by that, and the service with it.
      await execute('kill -9 -1');
      assert.deepEqual(ofHost(), before);
      await othersAnswer();
    });
  }
});
