/**
 * The embedded driver: virt-qemu-run runs libvirt's QEMU driver without a daemon, for one domain, in a directory of its
 * own. https://libvirt.org/manpages/virt-qemu-run.html
 */
import { chmod, symlink, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { makeDirectories } from '../util/directories.js';
import { messageOf, SandboxError } from '../util/errors.js';
import { findInPath } from '../util/programs.js';
import {
  type Connection,
  type DestroyOptions,
  type Domain,
  type DomainStop,
  type StartContext,
  URI,
} from './connection.js';
import { type Cleanup, cleanupOf } from './driver-cleanup.js';
import { domainError, type MessageFacts } from './errors.js';
import { shrinkQemuFacts } from './qemu-facts.js';
import { failureOf } from './qemu-log.js';
import { killQemu, readPid, seesQemu, shareServerPids } from './qemu-process.js';
import { EMBEDDED_ROOT } from './socket-path.js';
import { Supervisor } from './supervisor.js';

/**
 * Settings of the driver (https://libvirt.org/drvqemu.html): log to files, since there is no virtlogd; make no cgroups,
 * and no directory in a mount of hugetlbfs, since nothing would remove them after the sandbox.
 */
const QEMU_CONF = 'stdio_handler = "file"\ncgroup_controllers = []\nhugetlbfs_mount = []\n';

/**
 * Where libvirt gives no file away that outlives the sandbox, it need not remember owners. It has a process of its own do
 * that for each file.
 */
const NO_OWNERS = 'remember_owner = 0\n';

/**
 * Locale of virt-qemu-run. Its messages are matched, and it shortens names to a number of characters in this encoding.
 */
const LOCALE = 'C.UTF-8';

/**
 * No D-Bus: where systemd-machined answers, libvirt has it move QEMU to a scope, a control group beside that of the
 * caller, whose limits and whose end would then not be QEMU's.
 */
const NO_BUS = 'unix:path=/nonexistent';

export interface EmbeddedOptions {
  /**
   * Directory where the driver caches what it finds out about QEMU. That takes 4 s the first time, so it must outlive
   * sandboxes.
   */
  readonly cacheDirectory: string;
}

/**
 * Prepares to start domains with the embedded driver.
 *
 * @throws {SandboxError} `embedded-driver-missing`
 */
export function connectEmbedded(options: EmbeddedOptions): Connection {
  const program = findInPath('virt-qemu-run');
  if (!program) {
    throw new SandboxError({
      stage: 'libvirt',
      code: 'embedded-driver-missing',
      message: 'no libvirt daemon answers, and virt-qemu-run, which needs none, is not in PATH',
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
  { stateDirectory, socketDirectory, name, before = [], sources, terminal, smallPages = false }: StartContext,
): Promise<Domain> {
  const root = join(socketDirectory, EMBEDDED_ROOT);
  const xmlFile = join(socketDirectory, 'domain.xml');
  const log = join(root, 'log/qemu', `${name}.log`);
  const cleanup = cleanupOf(xml);
  await makeRoot(root, { xmlFile, xml, log, cleanup }, options.cacheDirectory);
  const supervisor = await Supervisor.start({
    directory: stateDirectory,
    command: [...before, program, '-r', root, xmlFile],
    log,
    begin: xmlFile,
    kill: !cleanup.any,
    smallPages,
    environment: { ...process.env, LC_ALL: LOCALE, DBUS_SYSTEM_BUS_ADDRESS: NO_BUS },
    ...(terminal === undefined ? {} : { terminal }),
  });
  return new EmbeddedDomain(supervisor, root, name, { xml, sources }, log);
}

/** Writes the driver's settings, the domain's XML, and QEMU's log, which libvirt would make when it is too late. */
async function makeRoot(
  root: string,
  { xmlFile, xml, log, cleanup }: { xmlFile: string; xml: string; log: string; cleanup: Cleanup },
  cacheDirectory: string,
): Promise<void> {
  try {
    makeDirectories(join(root, 'etc'));
    makeDirectories(dirname(log));
    makeDirectories(cacheDirectory);
    shrinkQemuFacts(cacheDirectory);
    await Promise.all([
      // QEMU may run as another user, so the umask must not apply.
      chmod(root, 0o755),
      writeFile(join(root, 'etc/qemu.conf'), cleanup.owners ? QEMU_CONF : QEMU_CONF + NO_OWNERS),
      writeFile(xmlFile, xml),
      writeFile(log, '', { mode: 0o600 }),
      symlink(cacheDirectory, join(root, 'cache')),
    ]);
  } catch (error) {
    throw new SandboxError({
      stage: 'domain',
      code: 'state-not-writable',
      message: `the settings for libvirt cannot be written: ${messageOf(error)}`,
      remedy: 'free space there, or make it writable for your user',
      cause: error,
    });
  }
}

/** Path of the PID file that the driver writes for a QEMU. */
function pidFileOf(root: string, name: string): string {
  return join(root, 'run/qemu', `${name}.pid`);
}

class EmbeddedDomain implements Domain {
  readonly name: string;
  readonly stopped: Promise<DomainStop>;
  readonly #supervisor: Supervisor;
  readonly #pidFile: string;
  #ending = false;

  constructor(supervisor: Supervisor, root: string, name: string, facts: MessageFacts, log: string) {
    this.name = name;
    this.#supervisor = supervisor;
    this.#pidFile = pidFileOf(root, name);
    this.stopped = supervisor.commandExited.then(async (exit): Promise<DomainStop> => {
      if ('lost' in exit) return { reason: 'failed', error: exit.lost };
      const isKilled = this.#ending && exit.status === constants.signals.SIGKILL;
      if (exit.status === 0 || isKilled) return { reason: 'shutdown' };
      return { reason: 'failed', error: domainError(name, await failureOf(exit.stderr, log), facts) };
    });
  }

  async consolePaths(): Promise<readonly string[]> {
    return [];
  }

  async shareServers(): Promise<readonly number[]> {
    return shareServerPids(this.#pidFile, '');
  }

  seesQemu(): Promise<boolean> {
    return seesQemu(this.#pidFile, this.name);
  }

  async destroy({ force }: DestroyOptions): Promise<void> {
    this.#ending = true;
    if (force) await killQemu(this.#supervisor, this.#pidFile, this.name, '');
    await this.#supervisor.finish();
  }
}
