/** What a member of an archive may be: a part of a state, at a place that a state has, which no other member has. */
import type { OverlayKind } from '../../sandbox/devices/overlay-record.js';
import { memberRefused } from './errors.js';
import { LAYERS } from './manifest.js';
import type { Member, MemberType } from './members.js';

/** As PATH_MAX and NAME_MAX. */
const MOST_PATH_BYTES = 4095;
const MOST_PART_BYTES = 255;
/** Files of one state. */
const MOST_MEMBERS = 20_000_000;

/**
 * What the host's overlayfs would follow to another file of the root, past the rights of that file. What a machine's
 * follows, with `user.virtiofs.` in front, reaches no more than the machine does.
 */
const LEADS_ELSEWHERE = /^(?:trusted|user)\.overlay\.(?:redirect|metacopy)$/;
/** xattr(7): only files and directories have attributes of users. */
const HAVE_NO_USERS: ReadonlySet<MemberType> = new Set(['symlink', 'character', 'fifo']);
/** (uid_t) -1 means none. */
const LAST_ID = 0xffff_fffe;

export class StateCheck {
  readonly #archive: string;
  /** Directories above the upper layers, which are not the guest's. */
  readonly #frame: RegExp;
  readonly #upper: RegExp;
  /** The last directory that came. */
  #directory = '';
  #count = 0;

  constructor(archive: string, kind: OverlayKind) {
    this.#archive = archive;
    const layer = kind === 'machine' ? LAYERS : `${LAYERS}/mounts/%2F(?:%[0-9A-F]{2}|[A-Za-z0-9._-])*`;
    this.#frame =
      kind === 'machine' ? new RegExp(`^${LAYERS}$`) : new RegExp(`^(?:${LAYERS}|${LAYERS}/mounts|${layer})$`);
    this.#upper = new RegExp(`^${layer}/upper(?:/[^]*)?$`);
  }

  /** @throws {SandboxError} `service-archive-refused` */
  check(member: Member): void {
    const { name, link, type, device, attributes, uid, gid } = member;
    this.#count += 1;
    if (this.#count > MOST_MEMBERS) this.#refuse(`has more than ${MOST_MEMBERS} members`);
    this.#checkPath('a member', name);
    const isFrame = this.#frame.test(name);
    if (!isFrame && !this.#upper.test(name)) this.#refuse(`has a member ${shown(name)}`);
    this.#checkWay(name);
    if (type === 'directory') this.#directory = name;
    const isTopmost = isFrame || (name.endsWith('/upper') && this.#frame.test(name.slice(0, -'/upper'.length)));
    if (isTopmost && type !== 'directory') this.#refuse(`has ${shown(name)}, which is no directory`);
    if (isFrame && (uid !== 0 || gid !== 0)) this.#refuse(`has ${shown(name)}, which is not root's`);
    if (uid > LAST_ID || gid > LAST_ID) this.#refuse(`has ${shown(name)} of a user that cannot be`);
    if (type === 'link') {
      this.#checkPath('a hard link to', link);
      if (!this.#upper.test(link)) this.#refuse(`has a hard link to ${shown(link)}`);
    }
    if (type === 'character' && device.some((number) => number !== 0))
      this.#refuse(`has the device ${device.join(':')} at ${shown(name)}`);
    const names = [...attributes.keys()];
    const leading = names.find((attribute) => LEADS_ELSEWHERE.test(attribute));
    if (leading !== undefined) this.#refuse(`has the attribute ${shown(leading)} at ${shown(name)}`);
    // tar keeps those of a symbolic link in memory until its end. The kernel sets none of a user's there.
    if (HAVE_NO_USERS.has(type) && names.some((attribute) => attribute.startsWith('user.')))
      this.#refuse(`has attributes of a user at ${shown(name)}`);
  }

  /**
   * tar writes a directory before what is in it, and all of that before anything else. It would make one that is missing,
   * and nobody would have counted it.
   */
  #checkWay(name: string): void {
    const above = name.slice(0, Math.max(name.lastIndexOf('/'), 0));
    if (above !== '' && !`${this.#directory}/`.startsWith(`${above}/`))
      this.#refuse(`has ${shown(name)} behind other members than its directory`);
  }

  #checkPath(what: string, path: string): void {
    const parts = path.split('/');
    const isPlain = parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
    if (isPlain && path.length <= MOST_PATH_BYTES && parts.every((part) => part.length <= MOST_PART_BYTES)) return;
    this.#refuse(`has ${what} ${shown(path)}`);
  }

  #refuse(why: string): never {
    throw memberRefused(this.#archive, why);
  }
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 256));
}
