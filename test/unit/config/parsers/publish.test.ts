/** The grammar of `--publish`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish, publishText } from '../../../../src/config/parsers/publish.js';
import { refuses } from '../support.js';

test('ports, and the address before them', () => {
  for (const [text, address, hostPort, guestPort, protocol = 'tcp'] of [
    ['8080:80', '127.0.0.1', 8080, 80],
    ['80', '127.0.0.1', 0, 80],
    [':80', '127.0.0.1', 0, 80],
    ['0:80/tcp', '127.0.0.1', 0, 80],
    ['0.0.0.0:65535:1', '0.0.0.0', 65_535, 1],
    ['192.0.2.1::443', '192.0.2.1', 0, 443],
    ['[::1]:8080:80', '::1', 8080, 80],
    ['[fd00::5]::80', 'fd00::5', 0, 80],
    ['53/udp', '127.0.0.1', 0, 53, 'udp'],
    ['[::1]:5353:53/udp', '::1', 5353, 53, 'udp'],
  ] as const) {
    const port = parsePublish(text);
    assert.deepEqual(port, { protocol, address, hostPort, guestPort }, text);
    assert.deepEqual(parsePublish(publishText(port)), port);
  }
});

test('anything else is refused', async () => {
  const shapes = [
    '',
    ':',
    '8080:',
    'localhost:1:2',
    '::1:1:2',
    '[::1]:2',
    '[1.2.3.4]:1:2',
    '[]:1:2',
    '1:2:3:4',
    '1.2.3:1:2',
  ];
  for (const text of [...shapes, '80/sctp', '80/', '80/tcp/tcp', '80/UDP', '/udp', '53/udp:53'])
    await refuses(() => parsePublish(text), 'arguments', 'publish-invalid', JSON.stringify(text));
  for (const text of ['x', '-1', '65536', '0', '1.5', '70000:80', 'x:80', ' 80', '80 ', '8080:99999999999999999999'])
    await refuses(() => parsePublish(text), 'arguments', 'number-invalid', '--publish');
});
