/** Which ports of this host a clone has. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import type { Publish } from '../../../../src/config/types.js';
import { otherPorts } from '../../../../src/service/clone/ports.js';

function port(hostPort: number, protocol: Publish['protocol'] = 'tcp'): Publish {
  return { protocol, address: '127.0.0.1', hostPort, guestPort: 80 };
}

const numbers = (ports: readonly Publish[]) => ports.map(({ hostPort }) => hostPort);
const free = async () => true;

describe('otherPorts', () => {
  it('takes the next ports that no service has and at which nobody listens', async () => {
    const all = [port(8080), port(8081), port(8082)];
    const isFree = async ({ hostPort }: Publish) => hostPort !== 8083;
    assert.deepEqual(numbers(await otherPorts([port(8080)], all, isFree)), [8084]);
    assert.deepEqual(numbers(await otherPorts([port(8080), port(8081)], all, free)), [8083, 8084]);
  });

  it('counts TCP and UDP apart', async () => {
    assert.deepEqual(numbers(await otherPorts([port(53_000, 'udp')], [port(53_001)], free)), [53_001]);
  });

  it('goes to those of users from a port of the system', async () => {
    assert.deepEqual(numbers(await otherPorts([port(80), port(443)], [port(80)], free)), [8080, 8443]);
  });

  it('leaves a port alone that is chosen at each start', async () => {
    assert.deepEqual(numbers(await otherPorts([port(0)], [], free)), [0]);
  });

  it('says so if there is none', async () => {
    await assert.rejects(otherPorts([port(65_535)], [], free), { code: 'service-no-port' });
  });

  it('looks whether somebody listens', async (t) => {
    const server = createServer();
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const [found] = await otherPorts([port(address.port - 1)], []);
    assert.ok((found?.hostPort ?? 0) > address.port);
  });
});
