/**
 * A kernel ELF file with nothing in it but what a loader reads.
 *
 * The file that a bzImage unpacks to has 57 MB: alignment gaps of 2 MiB, relocations, section headers, and the zeros of
 * .bss written out. Its segments alone, ending at their last page that is not zero, have 40 MB, which is less to write,
 * less to keep, and less for QEMU to read at every start.
 */

import { HEADER_SIZE, noteSegments, SEGMENT_HEADER_SIZE, SEGMENT_LOAD, type Segment } from './elf.js';

const PAGE = 4096;

/** A part of a file: `data` at byte `position`. */
export interface Chunk {
  readonly position: number;
  readonly data: Buffer;
}

/** A file as its parts in order of position; what lies between them is zero. */
export interface SparseFile {
  /** In bytes. */
  readonly size: number;
  readonly chunks: readonly Chunk[];
}

/** A segment and the place it moves to. */
interface Placed {
  readonly segment: Segment;
  readonly position: number;
  readonly fileSize: number;
}

const pageUp = (size: number): number => Math.ceil(size / PAGE) * PAGE;

/** The size of `data` without the whole zero pages at its end. */
function sizeWithoutZeros(data: Buffer): number {
  const zeros = Buffer.alloc(PAGE);
  let size = data.length;
  while (size > 0) {
    // The first piece ends at a page's edge, all others are one page.
    const start = (Math.ceil(size / PAGE) - 1) * PAGE;
    if (data.compare(zeros, 0, size - start, start, size) !== 0) break;
    size = start;
  }
  return size;
}

function place(elf: Buffer, segments: readonly Segment[]): Placed[] {
  let position = PAGE;
  return segments
    .filter((segment) => segment.type === SEGMENT_LOAD)
    .map((segment) => {
      const used = sizeWithoutZeros(elf.subarray(segment.offset, segment.offset + segment.fileSize));
      // A note may end in zeros, and is no note without them.
      const notes = noteSegments(segments).filter((note) => contains(segment, note));
      const fileSize = Math.max(used, ...notes.map((note) => note.offset + note.fileSize - segment.offset));
      const placed = { segment, position, fileSize };
      position += pageUp(fileSize);
      return placed;
    });
}

function contains(segment: Segment, note: Segment): boolean {
  return segment.offset <= note.offset && note.offset + note.fileSize <= segment.offset + segment.fileSize;
}

/** A note segment lies inside a loadable one: it moves along with it. */
function moveNote(note: Segment, placed: readonly Placed[]): Placed {
  const home = placed.find(({ segment }) => contains(segment, note));
  if (home === undefined) throw new Error('a note of the kernel inside lies outside its loadable segments');
  return { segment: note, position: home.position + note.offset - home.segment.offset, fileSize: note.fileSize };
}

function writeSegmentHeader(target: Buffer, at: number, { segment, position, fileSize }: Placed): void {
  target.writeUInt32LE(segment.type, at);
  target.writeUInt32LE(segment.flags, at + 4);
  target.writeBigUInt64LE(BigInt(position), at + 8);
  target.writeBigUInt64LE(segment.virtualAddress, at + 16);
  target.writeBigUInt64LE(segment.physicalAddress, at + 24);
  target.writeBigUInt64LE(BigInt(fileSize), at + 32);
  target.writeBigUInt64LE(BigInt(segment.memorySize), at + 40);
  // The ELF rule that offset and address agree modulo the alignment holds for pages.
  target.writeBigUInt64LE(BigInt(segment.type === SEGMENT_LOAD ? PAGE : 4), at + 48);
}

/**
 * The loadable and note segments of the kernel `elf`, packed together. The bytes of the segments, their addresses and
 * the entry point stay as they are.
 *
 * @throws {Error} for a note segment outside of the loadable ones.
 */
export function slimKernel(elf: Buffer, segments: readonly Segment[]): SparseFile {
  const loaded = place(elf, segments);
  const all = [...loaded, ...noteSegments(segments).map((note) => moveNote(note, loaded))];
  const header = Buffer.alloc(PAGE);
  elf.copy(header, 0, 0, HEADER_SIZE);
  header.writeBigUInt64LE(BigInt(HEADER_SIZE), 32); // e_phoff: right behind this header
  header.writeBigUInt64LE(0n, 40); // e_shoff: no sections
  header.writeUInt16LE(all.length, 56); // e_phnum
  header.fill(0, 58, HEADER_SIZE); // e_shentsize, e_shnum, e_shstrndx
  all.forEach((placed, i) => {
    writeSegmentHeader(header, HEADER_SIZE + i * SEGMENT_HEADER_SIZE, placed);
  });
  const bodies = loaded.map(({ segment, position, fileSize }) => ({
    position,
    data: elf.subarray(segment.offset, segment.offset + fileSize),
  }));
  const last = loaded.at(-1);
  return {
    size: last === undefined ? PAGE : last.position + last.fileSize,
    chunks: [{ position: 0, data: header }, ...bodies],
  };
}
