/**
 * Where the mounts of a container go, before anything is mounted. The init makes and mounts directories with rights that
 * nobody inside has, and follows links. In an overlay that is kept, and in a mount, an earlier run may have left a link
 * to a directory of the host that this run can write to, or to what is hidden. So no way goes over such a link.
 *
 * Nothing runs in the container meanwhile, so what is found stays.
 */
import { posix } from 'node:path';
import { attempt } from '../../../init/common/attempt.js';
import type { GuestConfig, GuestMount } from '../../../init/common/config.js';
import { IMAGE_STAGE, STAGE } from '../../../init/common/container.js';
import { MOUNT_POINTS, showsMounts } from '../../../init/common/mounts.js';
import { NEW_ROOT } from '../../../init/common/step.js';
import { quote } from '../../config/errors.js';
import { covers, normalizePath } from '../../config/path.js';
import type { Guest } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { linkIn } from '../../util/real-path.js';
import { rootLinkFailure } from './mount-errors.js';

/** Mounts that come along from libvirt's root: init/common/container.ts */
const MOVED = ['dev', 'proc', 'sys'];

const OVERLAY_LINK = 'overlay-link';

/** The kernel follows no more. */
const MOST_LINKS = 40;

const S_IFMT = 0o170_000;
const S_IFLNK = 0o120_000;

/** A mount that is made before the one in question. */
interface Made {
  readonly target: string;
  /** Undefined: nothing is in it that an earlier run could have left. */
  readonly mount?: GuestMount;
  /** Of a bind: what was made before it, as far as it shows that. */
  readonly before?: readonly Made[];
}

/** What is at a path: a link, or something else. */
interface Link {
  readonly leadsTo: string;
}

/** What the init makes on ways that have no links. */
type WithoutLinks = Pick<GuestConfig, 'mounts' | 'madeDirectory'>;

/**
 * The mounts of a config with targets, and sources of binds, that have no link in them; and its directory without one.
 * @param config with what can be covered of what is hidden
 * @param root the directory of the host that is the root; undefined: an OCI image is, which is at {@link IMAGE_STAGE}
 * @throws {SandboxError} `overlay-link`: a link is on the way that the root does not have; `root-link`: there is one where
 *   a directory has to be
 */
export async function withoutLinks(guest: Guest, config: GuestConfig, root: string | undefined): Promise<WithoutLinks> {
  const ways = new Ways(guest, config, root);
  await refuseRootLinks(guest, config);
  // Nothing is mounted on /tmp and /run of an image, which may be links.
  for (const name of root === undefined ? MOVED : MOUNT_POINTS) await ways.make(`/${name}`, `mounting /${name}`);
  const madeDirectory = await ways.directory(config.madeDirectory);
  const mounts: GuestMount[] = [];
  for (const [index, mount] of config.mounts.entries()) {
    if (index === config.home?.after) await ways.makeHome();
    mounts.push(await ways.makeMount(mount));
  }
  if (config.home !== undefined && config.home.after >= config.mounts.length) await ways.makeHome();
  return { mounts, madeDirectory };
}

/** What a plan mounts at a link fails. What is below a link, where nothing is mounted, an earlier run may have chosen. */
async function refuseRootLinks(guest: Guest, config: GuestConfig): Promise<void> {
  const areLinks = await Promise.all(MOVED.map((name) => isLink(guest, `${NEW_ROOT}/${name}`)));
  const found = MOVED.find((_, index) => areLinks[index]);
  if (found !== undefined) throw new SandboxError({ stage: 'init', ...rootLinkFailure(`/${found}`, config) });
}

async function isLink(guest: Guest, path: string): Promise<boolean> {
  const found = await attempt(guest, { op: 'stat', path, follow: false });
  return found !== undefined && (found.mode & S_IFMT) === S_IFLNK;
}

class Ways {
  readonly #guest: Guest;
  readonly #config: GuestConfig;
  readonly #root: string | undefined;
  readonly #isKept: boolean;
  readonly #made: Made[] = [];

  constructor(guest: Guest, config: GuestConfig, root: string | undefined) {
    this.#guest = guest;
    this.#config = config;
    this.#root = root;
    this.#isKept = config.rootOverlay?.kept !== undefined;
  }

  async make(path: string, what: string): Promise<void> {
    this.#made.push({ target: await this.#resolve(path, what) });
  }

  /**
   * Where the init may make that, before any mount of the config; undefined: nowhere. In what is mounted are the
   * directories of the host, which have still to go to their places.
   */
  async directory(path: string | undefined): Promise<string | undefined> {
    if (path === undefined) return undefined;
    try {
      const found = await this.#resolve(path, 'the working directory');
      return this.#made.some(({ target }) => covers(target, found)) ? undefined : found;
    } catch (error) {
      // That it is not there, the start of the application says.
      if (error instanceof SandboxError && error.code === OVERLAY_LINK) return undefined;
      throw error;
    }
  }

  makeHome(): Promise<void> {
    const { home } = this.#config.identity;
    return this.make(home, `the home ${quote(home)}`);
  }

  async makeMount(mount: GuestMount): Promise<GuestMount> {
    const what = `the mount on ${quote(mount.target)}`;
    if (mount.type !== 'bind') {
      const made = { ...mount, target: await this.#resolve(mount.target, what) };
      this.#made.push(mount.type === 'ram' ? { target: made.target } : { target: made.target, mount: made });
      return made;
    }
    const source = await this.#resolve(mount.source, what);
    const target = await this.#resolve(mount.target, what);
    const made = { ...mount, source, target };
    const isShown = showsMounts(this.#config, source) ? () => true : (each: Made) => covers(each.target, source);
    this.#made.push({ target, mount: made, before: this.#made.filter(isShown) });
    return made;
  }

  /** @param what goes there, for an error */
  async #resolve(path: string, what: string): Promise<string> {
    const left = partsOf(path);
    let at = '/';
    for (let links = 0; ; ) {
      const name = left.shift();
      if (name === undefined) return at;
      const next = posix.join(at, name);
      const link = name === '..' ? undefined : await this.#linkAt(next, this.#made, what);
      if (link === undefined) {
        at = next;
        continue;
      }
      links += 1;
      if (links > MOST_LINKS) throw tooManyError(what);
      left.unshift(...partsOf(link.leadsTo));
      if (link.leadsTo.startsWith('/')) at = '/';
    }
  }

  /** @param path without a link above its last part */
  async #linkAt(path: string, made: readonly Made[], what: string): Promise<Link | undefined> {
    const on = made.findLast(({ target }) => covers(target, path));
    if (on === undefined) return this.#linkIn(NEW_ROOT, path, () => this.#ofRoot(path), what);
    const { mount, target } = on;
    // What is mounted counts, and not what it covers. One in memory is empty.
    if (mount === undefined) return undefined;
    const below = posix.relative(target, path);
    if (mount.type === 'bind') return this.#linkAt(posix.join(mount.source, below), on.before ?? [], what);
    if (below === '') return undefined;
    // libvirt has bound it there.
    if (mount.type === 'staged') return this.#linkIn(`${STAGE}/${mount.tag}`, `/${below}`, () => undefined, what, path);
    if (this.#isKept) throw unseenError(what, target);
    return undefined;
  }

  async #linkIn(
    above: string,
    path: string,
    ofRoot: () => string | undefined | Promise<string | undefined>,
    what: string,
    name = path,
  ): Promise<Link | undefined> {
    const full = posix.join(above, path);
    // What cannot be seen, the init cannot go over either.
    if (!(await isLink(this.#guest, full))) return undefined;
    const expected = this.#isKept ? await ofRoot() : undefined;
    if (this.#isKept && expected === undefined) throw linkError(what, name);
    const leadsTo = await attempt(this.#guest, { op: 'readLink', path: full });
    if (this.#isKept && leadsTo !== expected) throw linkError(what, name);
    return leadsTo === undefined ? undefined : { leadsTo };
  }

  /** Where the root's own link leads; undefined: it has none there. */
  #ofRoot(path: string): string | undefined | Promise<string | undefined> {
    if (this.#root === undefined) return this.#ofImage(path);
    return linkIn(this.#root, path);
  }

  /** The same of an image. It is on another mount, where no earlier run has left anything. */
  async #ofImage(path: string): Promise<string | undefined> {
    let at = IMAGE_STAGE;
    for (const name of partsOf(posix.dirname(path))) {
      at = posix.join(at, name);
      if (await isLink(this.#guest, at)) return undefined;
    }
    return attempt(this.#guest, { op: 'readLink', path: posix.join(at, posix.basename(path)) });
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function linkError(what: string, link: string): SandboxError {
  return error(
    `${what} would go over the symbolic link ${quote(normalizePath(link))}, which an earlier run may have left`,
    `start once without that, and remove the link there: rm ${normalizePath(link)}`,
  );
}

function unseenError(what: string, image: string): SandboxError {
  return error(
    `${what} would go into the image on ${quote(image)}, where an earlier run may have left a symbolic link`,
    'mount it elsewhere, or keep the overlay in memory',
  );
}

function tooManyError(what: string): SandboxError {
  return error(`${what} would go over too many symbolic links`, 'remove some of them');
}

function error(why: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'init', code: OVERLAY_LINK, message: `with this overlay ${why}`, remedy });
}
