/** Completion in real bash, zsh and fish, with the completions that were built and are installed. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { programs } from '../../../man/all-programs.js';
import { listed } from '../../../man/program-description.js';
import { bakeCommands } from '../../../src/cli/bake/options.js';
import { ctlCommands } from '../../../src/cli/ctl/options.js';
import { imageCommands } from '../../../src/cli/image/options.js';
import { serviceCommands } from '../../../src/cli/service/options.js';
import { StorePaths } from '../../../src/oci/store/store-paths.js';
import { writeTag } from '../../../src/oci/store/tags.js';
import { digestOf } from '../../../src/oci-names/digest.js';
import { servicePaths, serviceRoots } from '../../../src/service/paths.js';
import { type OpenShell, shells } from '../../helpers/completing.js';
import { scratchDirectory } from '../../helpers/scratch.js';
import { unlessHostSystemd } from '../../helpers/systemd-sandbox.js';

/** A name that no sandbox has. Completion takes the names from the directories of state. */
const SANDBOX = `completing-${process.pid}`;

/** The name of an image, which a name of the store is made of. */
const IMAGE = `docker.io/completing/image:${process.pid}`;

/** As of a sandbox, in the directory of pools. */
const POOL = `pooling-${process.pid}`;

/** One of this user. */
const SERVICE = `served-${process.pid}`;

/** A typed line, what Tab must offer, and what it must not. */
type Case = readonly [line: string, offers: readonly string[], not?: readonly string[]];

/** On a host that has the files of systemd. */
const UNIT_CASES: readonly Case[] = [
  ['virt-sandbox-service create -u systemd-journald', ['systemd-journald.service', 'systemd-journald@']],
  ['virt-sandbox-service create -u systemd-journald@', ['systemd-journald@.socket']],
  ['virt-sandbox-service create --unitfile=systemd-journald.ser', ['systemd-journald.service']],
  ['virt-sandbox-service reload -u systemd-journald.so', ['systemd-journald.socket'], ['systemd-journald.service']],
];

/** On a host of dpkg. */
const PACKAGE_CASES: readonly Case[] = [
  ['virt-sandbox-service create -P dpk', ['dpkg']],
  ['virt-sandbox-service create --package=dpk', ['dpkg'], ['debconf']],
];

const CASES: readonly Case[] = [
  ['virt-sandbox --mo', ['--mount']],
  ['virt-sandbox -v --pri', ['--privileged', '--print-xml']],
  ['virt-sandbox -c ', ['qemu:///system', 'qemu:///session', 'qemu:///embed', 'lxc:///'], ['--name']],
  ['virt-sandbox --connect qemu:///se', ['qemu:///session']],
  ['virt-sandbox --connect=lx', ['lxc:///']],
  ['virt-sandbox --accel ', ['auto', 'kvm', 'tcg']],
  ['virt-sandbox --accel=kv', ['kvm']],
  ['virt-sandbox -m ', ['host-bind:', 'host-image:', 'guest-bind:', 'ram:']],
  ['virt-sandbox -m gu', ['guest-bind:'], ['host-bind:']],
  ['virt-sandbox -m host-bind:/mnt=/etc/hostn', ['host-bind:/mnt=/etc/hostname']],
  ['virt-sandbox --mount=host-bind:/mnt=/etc/hostn', ['host-bind:/mnt=/etc/hostname']],
  ['virt-sandbox -m host-bind:/us', ['host-bind:/usr/']],
  ['virt-sandbox --disk ', ['file:', 'block:']],
  ['virt-sandbox -N ', ['dhcp', 'source=', 'mac=', 'address=', 'route=', 'filter=']],
  ['virt-sandbox -N dhcp,so', ['dhcp,source=']],
  ['virt-sandbox --network dhcp,so', ['dhcp,source=']],
  ['virt-sandbox -s static,', ['static,label=']],
  ['virt-sandbox -S nobod', ['nobody']],
  ['virt-sandbox -I /etc/hostn', ['/etc/hostname']],
  ['virt-sandbox -i /etc/hostn', ['/etc/hostname']],
  ['virt-sandbox -i /srv/x=/etc/hostn', ['/srv/x=/etc/hostname']],
  ['virt-sandbox -r /us', ['/usr/']],
  ['virt-sandbox --config=/etc/hostn', ['/etc/hostname']],
  ['virt-sandbox --profile co', ['compatible']],
  // A value that may be left out is in the same word.
  ['virt-sandbox --overlay=/etc/hostn', ['/etc/hostname']],
  ['virt-sandbox --overlay setpri', ['setpriv']],
  // After the options comes another command, with its own completion or else with files.
  ['virt-sandbox setpri', ['setpriv']],
  ['virt-sandbox -v -n x setpri', ['setpriv']],
  ['virt-sandbox -e A=b -- setpri', ['setpriv']],
  ['virt-sandbox -c qemu:///system -m host-bind:/a=/b virt-sandbox-bak', ['virt-sandbox-bake']],
  ['virt-sandbox -e A=b:c -vn x -- virt-sandbox --accel ', ['auto', 'kvm', 'tcg']],
  ['virt-sandbox cat /etc/hostn', ['/etc/hostname']],
  ['virt-sandbox cat --moun', [], ['--mount']],
  // The value of an option without suggestions is not a command.
  ['virt-sandbox -n setpri', [], ['setpriv']],
  // Several flags in one word, the last with a value.
  ['virt-sandbox -vdS nobod', ['nobody']],
  ['virt-sandbox-bake ', ['create', 'list', 'show', 'rm', 'prune']],
  ['virt-sandbox-bake cre', ['create'], ['show']],
  ['virt-sandbox-bake create --comp', ['--compress']],
  ['virt-sandbox-bake create --compress ', ['none', 'zstd']],
  ['virt-sandbox-bake create --slots ', ['mounts=', 'disks=', 'networks=']],
  ['virt-sandbox-bake create --slots mounts=4,di', ['mounts=4,disks='], ['mounts=']],
  ['virt-sandbox-bake prune --old', ['--older-than']],
  ['virt-sandbox-bake list --old', [], ['--older-than']],
  ['virt-sandbox-bake prune --st', ['--stale']],
  ['virt-sandbox-bake rm --wa', ['--warm'], ['--stale']],
  ['virt-sandbox-bake show /us', ['/usr/']],
  ['virt-sandbox-ctl ', ['ps', 'exec', 'cp', 'logs', 'stop', 'kill', 'wait', 'inspect', 'stats', 'pool'], ['create']],
  ['virt-sandbox-ctl pool ', ['create', 'ls', 'inspect', 'rm'], ['ps']],
  ['virt-sandbox-ctl pool create --si', ['--size'], ['--since']],
  ['virt-sandbox-ctl pool ls --no', ['--noheading'], ['--no-trunc']],
  [`virt-sandbox-ctl pool rm ${POOL.slice(0, -1)}`, [POOL]],
  [`virt-sandbox-ctl pool rm -f other ${POOL.slice(0, -1)}`, [POOL]],
  [`virt-sandbox-ctl pool inspect ${POOL.slice(0, -1)}`, [POOL]],
  [`virt-sandbox --pool ${POOL.slice(0, -1)}`, [POOL]],
  [`virt-sandbox --pool=${POOL.slice(0, -1)}`, [POOL]],
  ['virt-sandbox-ctl exec --ti', ['--timeout'], ['--time']],
  ['virt-sandbox-ctl exec -u nobod', ['nobody']],
  ['virt-sandbox-ctl stop --ti', ['--time'], ['--timeout']],
  ['virt-sandbox-ctl kill -s TE', ['TERM']],
  ['virt-sandbox-ctl ps --format=js', ['json']],
  [`virt-sandbox-ctl stop ${SANDBOX.slice(0, -1)}`, [SANDBOX]],
  [`virt-sandbox-ctl stop other ${SANDBOX.slice(0, -1)}`, [SANDBOX]],
  [`virt-sandbox-ctl exec ${SANDBOX.slice(0, -1)}`, [SANDBOX]],
  [`virt-sandbox-ctl exec -it -w /tmp ${SANDBOX.slice(0, -1)}`, [SANDBOX]],
  [`virt-sandbox-ctl cp /etc/hostname ${SANDBOX.slice(0, -1)}`, [`${SANDBOX}:`]],
  ['virt-sandbox-ctl cp /etc/hostn', ['/etc/hostname']],
  // What follows the name is another command.
  ['virt-sandbox-ctl exec -i box setpri', ['setpriv']],
  ['virt-sandbox-ctl exec box cat /etc/hostn', ['/etc/hostname']],
  ['virt-sandbox-ctl exec -e A=b box virt-sandbox --accel ', ['auto', 'kvm', 'tcg']],
  ['virt-sandbox-ctl exec box ls --work', [], ['--workdir']],
  [
    'virt-sandbox-image ',
    ['pull', 'list', 'inspect', 'history', 'diff', 'tag', 'rm', 'prune', 'verify', 'run'],
    ['ls'],
  ],
  ['virt-sandbox-image pull --pla', ['--platform'], ['--pull']],
  ['virt-sandbox-image pull --tls-verify=f', ['false']],
  ['virt-sandbox-image list -s do', ['docker']],
  [`virt-sandbox-image rm ${IMAGE.slice(0, -1)}`, [IMAGE]],
  [`virt-sandbox-image diff other ${IMAGE.slice(0, -1)}`, [IMAGE]],
  ['virt-sandbox-image login --pass', ['--password-stdin'], ['--password']],
  // The options of virt-sandbox, and those of its own.
  ['virt-sandbox-image run --cpu-', ['--cpu-quota', '--cpu-shares']],
  ['virt-sandbox-image run --pull ', ['missing', 'always', 'never']],
  ['virt-sandbox-image run --accel ', ['auto', 'kvm', 'tcg']],
  ['virt-sandbox-image run debian setpri', ['setpriv']],
  ['virt-sandbox-service ', ['create', 'clone', 'delete', 'list', 'show', 'edit'], ['ls']],
  ['virt-sandbox-service create --restart ', ['no', 'on-failure', 'always']],
  [`virt-sandbox-service show ${SERVICE.slice(0, -1)}`, [SERVICE]],
  ...(unlessHostSystemd ? [] : UNIT_CASES),
  ...(existsSync('/var/lib/dpkg/status') ? PACKAGE_CASES : []),
];

/** A store of images that has a name, and nothing else. */
async function storeNamed(cache: string, name: string): Promise<void> {
  const paths = new StorePaths(join(cache, 'virt-sandbox', 'oci'));
  paths.make();
  const digest = digestOf(Buffer.from('x'));
  await writeTag(paths, {
    format: 1,
    name: `docker://${name}`,
    platform: 'linux/amd64',
    ...{ top: digest, manifest: digest, config: digest, root: '0'.repeat(64), size: 1 },
    pulled: '2026-01-01T00:00:00.000Z',
  });
}

/** A service of this user that has a name, and nothing else. @returns its directory */
function serviceNamed(name: string): string {
  const { directory, config, file } = servicePaths(serviceRoots(), name);
  mkdirSync(config, { recursive: true });
  writeFileSync(file, '[api]\n');
  return directory;
}

for (const { name, skip, open } of shells) {
  describe(`completion in ${name}`, { skip }, () => {
    let shell: OpenShell;
    let home: string;
    let service: string;
    before(async () => {
      home = mkdtempSync(join(tmpdir(), 'vs-home-'));
      mkdirSync(join(home, '.cache/libvirt-sandbox', SANDBOX), { recursive: true });
      mkdirSync(join(home, '.cache/libvirt-sandbox-pools', POOL), { recursive: true });
      await storeNamed(join(home, 'cache'), IMAGE);
      service = serviceNamed(SERVICE);
      shell = await open({ HOME: home, XDG_CACHE_HOME: join(home, 'cache') });
    });
    after(async () => {
      await shell?.close();
      rmSync(home, { recursive: true });
      rmSync(service, { recursive: true });
    });

    for (const [line, offers, not = []] of CASES) {
      it(line, async () => {
        const { offered } = await shell.complete(line);
        // fish and zsh write an option and its value as one word if they were typed so.
        const found = new Set(
          offered.flatMap((word) => [word, word.replace(/^--[a-z-]+=/, ''), word.replace(/=$/, '')]),
        );
        for (const word of offers) assert.ok(found.has(word), `${word} is not in ${offered.join(' ')}`);
        for (const word of not) assert.ok(!found.has(word), `${word} is in ${offered.join(' ')}`);
      });
    }

    it('offers every option', async () => {
      const [virtSandbox] = programs;
      assert.ok(virtSandbox);
      const { offered } = await shell.complete('virt-sandbox --');
      const missing = listed(virtSandbox.options, virtSandbox.details).filter(
        ({ name }) => !offered.includes(`--${name}`),
      );
      assert.deepEqual(missing, []);
    });

    it('offers every option of a command', async () => {
      for (const [program, commands] of [
        ['virt-sandbox-bake', bakeCommands],
        ['virt-sandbox-ctl', ctlCommands],
        ['virt-sandbox-image', imageCommands],
        ['virt-sandbox-service', serviceCommands],
      ] as const) {
        for (const [command, { options }] of Object.entries(commands)) {
          const { offered } = await shell.complete(`${program} ${command} --`);
          const missing = Object.keys(options).filter((option) => !offered.includes(`--${option}`));
          assert.deepEqual(missing, [], `${program} ${command}: ${offered.join(' ')}`);
        }
      }
    });

    it('continues the path after a directory, and ends the word after a file', async (t) => {
      if (name === 'fish') return t.skip('fish tells what is offered, not the line');
      const directory = scratchDirectory(t);
      mkdirSync(join(directory, 'deep'));
      writeFileSync(join(directory, 'a b.img'), '');
      const { line } = await shell.complete(`virt-sandbox -r ${directory}/de`);
      assert.equal(line, `virt-sandbox -r ${directory}/deep/`);
      const disk = await shell.complete(`virt-sandbox --disk file:x=${directory}/a`);
      assert.equal(disk.line, `virt-sandbox --disk file:x=${directory}/a\\ b.img `);
    });
  });
}
