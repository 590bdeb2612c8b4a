/**
 * Keeps an archive from filling the file system that its state comes to. Each member says how large it is before its
 * content comes, and what is free is looked at again while it is unpacked: others may write there, too.
 */
import { type Free, type Room, roomIn } from '../../util/room.js';
import { noRoom, type Place, tooLarge } from './errors.js';
import type { Member } from './members.js';
import { Needs } from './needs.js';

/** Bytes between two looks. */
const LOOK_BYTES = 16 << 20;
/** What a member counts for, besides its content. */
const MEMBER_BYTES = 4096;

export class RoomCheck {
  readonly #place: Place;
  readonly #room: Room;
  readonly #needs: Needs;
  #sinceLook = 0;

  private constructor(place: Place, room: Room) {
    this.#place = place;
    this.#room = room;
    this.#needs = new Needs(room.block);
  }

  /** @throws the error of a system call */
  static async of(place: Place): Promise<RoomCheck> {
    return new RoomCheck(place, await roomIn(place.directory));
  }

  /** Counts a member, and nothing more. */
  count(member: Member): void {
    this.#needs.add(member);
  }

  /** @throws {SandboxError} `service-archive-too-large`: there is no room for what was counted, which is all of it */
  check(): void {
    this.#refuse('');
  }

  /** A member is to be unpacked. @throws {SandboxError} `service-archive-too-large` */
  async take(member: Member): Promise<void> {
    this.#needs.add(member);
    this.#refuse('more than ');
    await this.taken(MEMBER_BYTES);
  }

  /** So much of a content was unpacked. @throws {SandboxError} `service-archive-too-large` */
  async taken(bytes: number): Promise<void> {
    this.#sinceLook += bytes;
    if (this.#sinceLook < LOOK_BYTES) return;
    this.#sinceLook = 0;
    const room = await roomIn(this.#place.directory);
    for (const unit of ['bytes', 'inodes'] as const)
      if (room[unit].free < room[unit].left) throw noRoom(this.#place, unit, room[unit]);
  }

  #refuse(atLeast: string): void {
    const { bytes, inodes } = this.#needs;
    const { bytes: ofBytes, inodes: ofInodes } = this.#room;
    if (isMore(bytes, ofBytes)) throw tooLarge(this.#place, `${atLeast}${bytes} bytes`, ofBytes);
    if (isMore(inodes, ofInodes)) throw tooLarge(this.#place, `${atLeast}${inodes} inodes`, ofInodes);
  }
}

function isMore(needed: number, { free, left }: Free): boolean {
  return needed > free - left;
}
