/** Says where the ports of a sandbox are on this host. */

import type { Sandbox } from '../../sandbox/sandbox.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { programName } from '../program-name.js';

/** Says which free ports were taken; with -v all. */
export function sayPorts(
  { published, launched }: Sandbox,
  say: (sentence: string) => void,
  onChoice: LaunchOptions['onChoice'],
): void {
  const { publish } = launched.config;
  for (const [at, { host, guestPort, protocol }] of published.entries()) {
    const sentence = `port ${guestPort}${protocol === 'udp:' ? '/udp' : ''} is at ${host}`;
    if (publish[at]?.hostPort === 0) say(`${programName()}: ${sentence}\n`);
    else onChoice?.(sentence);
  }
}
