/** Examples of docs/services.md, line by line: nginx from its installation to an upgrade, a clone, and its unit. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sha256 } from '../../src/image/manifest.js';
import { NginxHost, unlessNginxHost } from '../helpers/nginx-host.js';
import { newerNginx, olderNginx, unlessNginx } from '../helpers/nginx-packages.js';
import { type Example, examplesOf } from '../helpers/page-blocks.js';

const programOf = (root: string) => sha256(readFileSync(join(root, 'usr/sbin/nginx')));

/** Numbers and times differ from run to run. */
function withoutNumbers(lines: readonly string[]): string[] {
  return lines.map((line) =>
    line
      .replace(/\((?:less than a second|\d+ seconds?)\)/, '(TIME)')
      .replace(/^[A-Z][a-z]{2} +\d+ [\d:]{8} /, 'TIME ')
      .replaceAll(/\d+(?:\.\d+)?/g, 'N'),
  );
}

describe('docs/services.md', { skip: unlessNginxHost() || unlessNginx }, () => {
  const cleanUp: (() => unknown)[] = [];
  let host: NginxHost;

  /** Runs a line of the page. @param shape makes equal what differs from run to run */
  const follow = async ({ command, shown }: Example, shape = (lines: readonly string[]) => [...lines]) => {
    const { code, out, stderr } = await host.shell(command);
    assert.equal(code, 0, `${command}: ${stderr}`);
    // The page does not show what APT says, nor how fast curl was.
    if (command.startsWith('apt-get ')) return;
    const said = command.startsWith('curl ') ? out : out + stderr;
    assert.deepEqual(shape(said.split('\n').slice(0, -1)), shape(shown), command);
  };
  const followAll = async (heading: string) => {
    const examples = examplesOf('services.md', heading);
    assert.notEqual(examples.length, 0);
    for (const example of examples) await follow(example);
  };
  /** Digests of the programs that serve. */
  const serving = async (...names: readonly string[]) => {
    const digests: (string | undefined)[] = [];
    for (const name of names) {
      const inside = "sh -c 'sha256sum </proc/$(cat /run/nginx.pid)/exe'";
      const { out, stderr } = await host.shell(`virt-sandbox-service execute ${name} -- ${inside}`);
      assert.equal(stderr, '');
      digests.push(out.split(' ', 1)[0]);
    }
    return digests;
  };

  before(async () => {
    host = await NginxHost.start({ after: (work) => void cleanUp.unshift(work as () => unknown) });
  });
  after(async () => {
    for (const work of cleanUp) await work();
  });

  it('is right from the installation of nginx to its upgrade', async (t) => {
    const examples = examplesOf('services.md', 'The shortest example');
    const upgrade = examples.findIndex(({ command }) => command.includes('--only-upgrade'));
    const curl = examples.find(({ command }) => command.startsWith('curl '));
    assert.ok(upgrade > 0 && curl !== undefined);
    const older = olderNginx ?? newerNginx;
    await host.offer(older);
    for (const example of examples.slice(0, upgrade)) await follow(example);
    assert.deepEqual(await serving('web1', 'web2'), [programOf(older.root), programOf(older.root)]);
    if (olderNginx === undefined) t.diagnostic('the archive has one version of nginx: nothing is upgraded');
    await host.offer(newerNginx);
    for (const example of examples.slice(upgrade)) await follow(example);
    assert.deepEqual(await serving('web1', 'web2'), [programOf(newerNginx.root), programOf(newerNginx.root)]);
    await follow(curl);
    await followAll('After an upgrade of the host');
    await followAll('A second one');
  });

  it('is right about the unit of nginx', async () => {
    await host.shell('virt-sandbox-service delete web1 web2 web3');
    const examples = examplesOf('services.md', 'Units');
    const logs = examples.findIndex(({ command }) => command.includes(' logs '));
    assert.ok(logs > 0);
    for (const example of examples.slice(0, logs)) await follow(example, withoutNumbers);
    // What the reload says comes to the log by itself.
    const told = 'test $(virt-sandbox-service logs web 2>&1 | grep -cE "signal|Reloaded") -ge 2';
    assert.equal((await host.shell(`until ${told}; do sleep 0.1; done`)).code, 0);
    // nginx and systemd each write on their own.
    const inAnyOrder = (lines: readonly string[]) => withoutNumbers(lines.map((line) => line.trimEnd())).sort();
    for (const example of examples.slice(logs)) await follow(example, inAnyOrder);
  });
});
