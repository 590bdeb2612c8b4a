/** --print-xml and --dry-run: prepares a sandbox and prints what would be started. */
import { withHomeMount } from '../../config/home.js';
import type { SandboxConfig } from '../../config/types.js';
import { domainXml } from '../../sandbox/devices/machine-options.js';
import { rootShareOf } from '../../sandbox/domain-parts.js';
import { withImageRoot } from '../../sandbox/image-root/with-image-root.js';
import { prepare } from '../../sandbox/prepare/prepare.js';
import type { Prepared } from '../../sandbox/prepare/prepared.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import type { Arguments } from '../sandbox-arguments.js';
import { print } from '../terminal/output.js';

/** Prints the domain XML (--print-xml) or the choices that were made (--dry-run, as lines or with --json). */
export async function show(args: Arguments, described: SandboxConfig, options: LaunchOptions): Promise<void> {
  const rooted = await withImageRoot(described, options, 'needed');
  const config = withHomeMount(rooted.config);
  const prepared = await prepare(config, options);
  // No machine starts, so it is a choice like the others.
  if (prepared.platform === 'machine' && prepared.fallback) options.onChoice?.(prepared.fallback);
  try {
    if (args.printXml) {
      await print(domainXml(config, prepared, options));
      return;
    }
    const choices = choicesOf(prepared);
    await print(args.json ? `${JSON.stringify(choices, null, 2)}\n` : lines(choices));
  } finally {
    await prepared.connection.close();
  }
}

type Choices = Readonly<Record<string, string | boolean>>;

function choicesOf(prepared: Prepared): Choices {
  const { connection } = prepared;
  if (prepared.platform === 'container') return { uri: connection.uri };
  const { image, acceleration, snapshot } = prepared;
  const root = rootShareOf(prepared);
  return {
    image: image.directory,
    kernel: image.kernel,
    initrd: image.initrd,
    kernelVersion: image.kernelVersion,
    reason: image.reason,
    built: image.fresh,
    uri: connection.uri,
    acceleration,
    ...(root ? { rootFs: root.transport } : {}),
    boot: snapshot ? 'warm' : 'cold',
    ...(snapshot ? { warmImage: snapshot.directory } : {}),
  };
}

function lines(choices: Choices): string {
  return Object.entries(choices)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}
