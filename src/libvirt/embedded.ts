/**
 * libvirt's QEMU driver without a daemon: virt-qemu-run runs it for one domain, in a directory of its own.
 * https://libvirt.org/manpages/virt-qemu-run.html
 */
import { chmod, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../util/directories.js';
import { messageOf, SandboxError } from '../util/errors.js';
import { findInPath } from '../util/programs.js';
import { type Connection, type Domain, type DomainStop, type StartContext, URI } from './connection.js';
import { domainError } from './errors.js';
import { failureOf } from './qemu-log.js';
import { killQemu, readPid } from './qemu-process.js';
import { EMBEDDED_ROOT } from './socket-path.js';
import { Supervisor } from './supervisor.js';

/**
 * Settings of the driver for one domain. There is no virtlogd to hand logs to, and no cgroups are made: with nobody left to remove them they
 * would outlive the sandbox.
 * https://libvirt.org/drvqemu.html
 */
const QEMU_CONF = 'stdio_handler = "file"\ncgroup_controllers = []\n';

/** Of libvirt's messages, which are looked at; and it cuts names to characters of this. */
const LOCALE = 'C.UTF-8';

export interface EmbeddedOptions {
  /** A directory that outlives sandboxes, for what the driver finds out about QEMU: 4 s the first time, none later. */
  readonly cacheDirectory: string;
}

/**
 * @throws {SandboxError} `embedded-driver-missing`
 */
export function connectEmbedded(options: EmbeddedOptions): Connection {
  const program = findInPath('virt-qemu-run');
  if (!program) {
    throw new SandboxError({
      stage: 'libvirt',
      code: 'embedded-driver-missing',
      message: 'no libvirt daemon answers, and there is no virt-qemu-run in PATH to do without one',
      remedy: 'install it (Debian: libvirt-daemon-driver-qemu; Fedora: libvirt-daemon-driver-qemu), or start libvirtd',
    });
  }
  return {
    kind: 'embedded',
    uri: URI.embedded,
    start: (xml, context) => startEmbedded(program, options, xml, context),
    qemuPid: ({ name, socketDirectory }) => readPid(pidFileOf(join(socketDirectory, EMBEDDED_ROOT), name)),
    version: async () => undefined,
    close: async () => {},
  };
}

async function startEmbedded(
  program: string,
  options: EmbeddedOptions,
  xml: string,
  { stateDirectory, socketDirectory, name, terminal }: StartContext,
): Promise<Domain> {
  const root = join(socketDirectory, EMBEDDED_ROOT);
  const xmlFile = join(socketDirectory, 'domain.xml');
  await makeRoot(root, xmlFile, xml, options.cacheDirectory);
  const supervisor = await Supervisor.start({
    directory: stateDirectory,
    command: [program, '-r', root, xmlFile],
    environment: { ...process.env, LC_ALL: LOCALE },
    ...(terminal === undefined ? {} : { terminal }),
  });
  return new EmbeddedDomain(supervisor, root, name);
}

/** What the driver reads, and where it writes. */
async function makeRoot(root: string, xmlFile: string, xml: string, cacheDirectory: string): Promise<void> {
  try {
    makeDirectories(join(root, 'etc'));
    makeDirectories(cacheDirectory);
    await Promise.all([
      // QEMU may run as another user, whatever the umask.
      chmod(root, 0o755),
      writeFile(join(root, 'etc/qemu.conf'), QEMU_CONF),
      writeFile(xmlFile, xml),
    ]);
    await symlink(cacheDirectory, join(root, 'cache'));
  } catch (error) {
    throw new SandboxError({
      stage: 'domain',
      code: 'state-not-writable',
      message: `what libvirt needs cannot be written: ${messageOf(error)}`,
      remedy: 'make room there, or make it writable for you',
      cause: error,
    });
  }
}

/** Where libvirt's QEMU driver has the process ID of a QEMU. */
function pidFileOf(root: string, name: string): string {
  return join(root, 'run/qemu', `${name}.pid`);
}

class EmbeddedDomain implements Domain {
  readonly name: string;
  readonly stopped: Promise<DomainStop>;
  readonly #supervisor: Supervisor;
  readonly #pidFile: string;

  constructor(supervisor: Supervisor, root: string, name: string) {
    this.name = name;
    this.#supervisor = supervisor;
    this.#pidFile = pidFileOf(root, name);
    this.stopped = supervisor.commandExited.then(async ({ status, stderr }) =>
      status === 0
        ? { reason: 'shutdown' }
        : {
            reason: 'failed',
            error: domainError(name, await failureOf(stderr, join(root, 'log/qemu', `${name}.log`))),
          },
    );
  }

  async consolePaths(): Promise<readonly string[]> {
    return [];
  }

  async destroy({ force }: { readonly force: boolean }): Promise<void> {
    if (force) await killQemu(this.#supervisor, this.#pidFile, this.name, '');
    await this.#supervisor.finish();
  }
}
