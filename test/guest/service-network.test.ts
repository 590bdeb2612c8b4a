/** Services on a network of libvirt that this test makes for this host alone, and their clones beside them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { uniqueName } from '../helpers/leftovers.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { unlessBusybox } from '../helpers/roots.js';
import { runSandbox, SERVICE_PROGRAM } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

const NETWORK = `<network><name>lab</name><bridge name='vsserv0' stp='off' delay='0'/>
  <ip address='192.168.126.1' netmask='255.255.255.0'><dhcp><range start='192.168.126.100' end='192.168.126.200'/>
  <host mac='52:54:00:00:00:42' ip='192.168.126.42'/></dhcp></ip></network>`;
const MAC = '52:54:00:00:00:42';

/** Its page says who it is, and who has begun its state. */
const SITE = `test -e /srv/first || hostname > /srv/first
  echo "$(hostname) of $(cat /srv/first)" > /run/index.html; exec busybox httpd -f -p 80 -h /run`;
const HEALTH = 'busybox wget -qO /dev/null http://127.0.0.1/';

describe('a service on a network of libvirt', { skip: unlessPrivateLibvirt() || unlessBusybox }, () => {
  let lab: PrivateLibvirt;
  before(async () => {
    lab = await PrivateLibvirt.start();
  });
  after(() => lab?.end());

  const run = (...words: readonly string[]) => runSandbox(words, { program: SERVICE_PROGRAM, through: lab.through });
  const ok = async (...words: readonly string[]) => {
    const { code, out, stderr } = await run(...words);
    assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
    return out;
  };
  const fetch = (address: string) => ['busybox', 'wget', '-T', '10', '-qO-', `http://${address}/`];
  const page = (address: string) => lab.run(...fetch(address));

  for (const uri of ['qemu:///system', 'lxc:///'])
    it(`answers at its address, and so do its clones, which have others, beside it: ${uri}`, async (t) => {
      const web = uniqueName();
      const [second, third, fourth] = [2, 3, 4].map((number) => `${web}-${number}`) as [string, string, string];
      const all = [web, second, third];
      t.after(async () => {
        for (const name of [...all, fourth]) await run('delete', name);
      });
      const states = scratchDirectory(t, WITH_ATTRIBUTES);
      const networks = (await lab.virsh('net-list', '--name')).split('\n');
      if (!networks.includes('lab')) await lab.virshFile(states, 'net-create', NETWORK);
      /** The hardware address of its interface, as libvirt has it. */
      const mac = async (name: string) =>
        /<mac address='([^']+)'/.exec(await lab.run('virsh', '-qc', uri, 'dumpxml', name))?.[1] ?? '';
      const leased = async (name: string) => {
        const lease = new RegExp(`${await mac(name)} +ipv4 +([0-9.]+)/24`);
        return lease.exec(await lab.virsh('net-dhcp-leases', 'lab'))?.[1] ?? '';
      };

      const network = ['-N', `dhcp,source=lab,mac=${MAC}`];
      const made = ['-c', uri, '-p', states, ...ACCEL, ...network, '--health', HEALTH];
      await ok('create', ...made, web, '--', 'sh', '-c', SITE);
      await ok('start', web);
      assert.equal(await page('192.168.126.42'), `${web} of ${web}\n`);

      await ok('clone', '--live', web, second);
      const own = '192.168.126.9';
      await ok('clone', '--live', '-N', `source=lab,address=${own}`, web, third);
      await ok('start', second, third);
      const macs = await Promise.all(all.map(mac));
      assert.equal(macs[0], MAC);
      assert.equal(new Set(macs).size, 3, macs.join(' '));
      const addresses = [await leased(web), await leased(second), own];
      assert.equal(addresses[0], '192.168.126.42');
      assert.match(addresses[1] ?? '', /^192\.168\.126\.(1\d\d|200)$/);
      for (const [at, name] of all.entries()) {
        assert.equal(await page(addresses[at] ?? ''), `${name} of ${web}\n`);
        // The others reach it, too.
        const other = all[(at + 1) % 3] ?? '';
        assert.equal(await ok('execute', other, '--', ...fetch(addresses[at] ?? '')), `${name} of ${web}\n`);
      }

      await ok('restart', second);
      assert.equal(await page(addresses[1] ?? ''), `${second} of ${web}\n`);
      const refused = await run('clone', '--live', third, fourth);
      assert.equal(refused.code, 125);
      assert.match(
        refused.stderr,
        /has the address 192\.168\.126\.9, .*; give the clone a network of its own: [^\n]+\n$/,
      );
    });
});
