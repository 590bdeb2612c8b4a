/** Says where the ports of a sandbox are on this host. */
import type { SandboxConfig } from '../../config/types.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import type { LaunchOptions } from '../../sandbox/types.js';

/** Says which free ports were taken; with -v all. */
export function sayPorts(
  { publish }: SandboxConfig,
  { published }: Sandbox,
  say: (sentence: string) => void,
  onChoice: LaunchOptions['onChoice'],
): void {
  for (const [at, { host, guestPort, protocol }] of published.entries()) {
    const sentence = `port ${guestPort}${protocol === 'udp:' ? '/udp' : ''} is at ${host}`;
    if (publish[at]?.hostPort === 0) say(`virt-sandbox: ${sentence}\n`);
    else onChoice?.(sentence);
  }
}
