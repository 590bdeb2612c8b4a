/**
 * Labels for files and sockets that QEMU uses and libvirt does not label by itself, or may label only if they have a
 * certain type already. Without SELinux nothing here has an effect.
 */
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { valueOr } from './errors.js';
import { readIfThere } from './small-files.js';

const STATUS = '/sys/fs/selinux/enforce';
const CONFIG = '/etc/selinux/config';
const ATTRIBUTES = '/proc/thread-self/attr';

/** libvirtd's type in every policy that knows libvirt. Each of them lets a QEMU connect to its sockets. */
const DAEMON_TYPE = 'virtd_t';

/** True if the kernel has a policy of SELinux, enforced or not. */
export function hasSelinux(): boolean {
  return existsSync(STATUS);
}

/** True if the kernel has a policy of SELinux, and enforces it. */
export function enforcesSelinux(): boolean {
  return readIfThere(STATUS)?.trim() === '1';
}

/**
 * Creates an empty file for a machine to read, such as a kernel. libvirtd may label it even where the policy confines
 * libvirtd.
 * @throws a system error; EEXIST if it is there
 */
export function createContentFile(path: string): void {
  withAttribute('fscreate', contextForQemu('content'), () => closeSync(openSync(path, 'wx', 0o644)));
}

/**
 * Runs `listen`, which makes a Unix socket at a path before it returns. QEMU may connect to the socket, which a policy
 * allows it for libvirtd's sockets only, and libvirtd may label the path.
 */
export function asSocketForQemu(listen: () => void): void {
  withAttribute('fscreate', contextForQemu('image'), () =>
    withAttribute('sockcreate', withOwnUser(`system_u:object_r:${DAEMON_TYPE}:s0`), listen),
  );
}

/**
 * What libvirt labels files of machines with: `image` if a machine may write to them, `content` if machines only read
 * them. The policy says so in a file that libvirt reads too: https://libvirt.org/drvqemu.html#selinux-confinement
 */
function contextForQemu(use: 'image' | 'content'): string | undefined {
  if (!hasSelinux()) return undefined;
  const [image, content] = linesOf('virtual_image_context');
  const context = use === 'image' ? image : content;
  return context ? withOwnUser(context) : undefined;
}

/** Labels that a policy has for what libvirt starts. */
export interface PolicyContexts {
  readonly process: string | undefined;
  /** Of files to which it may write. */
  readonly files: string | undefined;
}

/**
 * The labels of domains of that type of libvirt's, from the files of the policy from which libvirt has its base labels.
 * @param directory with those files
 */
export function policyContexts(type: 'kvm' | 'qemu' | 'lxc', directory = contextsDirectory()): PolicyContexts {
  if (type === 'lxc') {
    const text = readIfThere(`${directory}/lxc_contexts`) ?? '';
    const valueAt = (key: string) => new RegExp(`^[ \\t]*${key}[ \\t]*=[ \\t]*"([^"\\n]+)"`, 'm').exec(text)?.[1];
    return { process: valueAt('process'), files: valueAt('file') };
  }
  const [kvm, emulation] = linesOf('virtual_domain_context', directory);
  const [files] = linesOf('virtual_image_context', directory);
  return { process: (type === 'qemu' && emulation) || kvm || undefined, files: files || undefined };
}

function linesOf(name: string, directory = contextsDirectory()): string[] {
  return (readIfThere(`${directory}/${name}`) ?? '').split('\n').map((line) => line.trim());
}

function contextsDirectory(): string {
  const type = /^SELINUXTYPE=[ \t]*(\S+)/m.exec(readIfThere(CONFIG) ?? '')?.[1] ?? 'targeted';
  return `/etc/selinux/${type}/contexts`;
}

/** The context with this process's user: few may make what belongs to another. Undefined without SELinux. */
function withOwnUser(context: string): string | undefined {
  const own = hasSelinux() ? readIfThere(`${ATTRIBUTES}/current`) : undefined;
  const [, ...rest] = context.split(':');
  return own && [own.split(':', 1)[0], ...rest].join(':');
}

/**
 * Runs `make` while this thread labels what it makes with `context`. Where the policy does not know that context or
 * forbids it, things get their usual label: that serves if the policy does not confine QEMU, and libvirt's error tells
 * otherwise.
 */
function withAttribute(attribute: 'fscreate' | 'sockcreate', context: string | undefined, make: () => void): void {
  const file = `${ATTRIBUTES}/${attribute}`;
  const isSet =
    context !== undefined &&
    valueOr(() => {
      writeFileSync(file, context);
      return true;
    }, false);
  try {
    make();
  } finally {
    // An empty line takes it back: the kernel's security/selinux/hooks.c.
    if (isSet) writeFileSync(file, '\n');
  }
}
