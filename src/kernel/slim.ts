/**
 * Shrinks a kernel's ELF file to what a loader reads.
 *
 * The file inside a bzImage has 57 MB: alignment gaps of 2 MiB, relocations, section headers, and the zeros of .bss.
 * Its segments alone, each up to its last page that is not zero, have 40 MB. That is less to write, to store, and for
 * QEMU to read at every start.
 */

import { HEADER_SIZE, noteSegments, SEGMENT_HEADER_SIZE, SEGMENT_LOAD, type Segment } from './elf.js';

const PAGE = 4096;

/** Part of a file: `data` at byte `position`. */
export interface Chunk {
  readonly position: number;
  readonly data: Buffer;
}

/** A file as its parts, in order of position. All bytes between them are zero. */
export interface SparseFile {
  /** In bytes. */
  readonly size: number;
  readonly chunks: readonly Chunk[];
}

/** A segment with its new position and size in the file, in bytes. */
interface Moved {
  readonly segment: Segment;
  readonly position: number;
  readonly fileSize: number;
}

const pageUp = (size: number): number => Math.ceil(size / PAGE) * PAGE;

/** The size of `data` without the zero pages at its end. */
function sizeWithoutZeros(data: Buffer): number {
  const zeros = Buffer.alloc(PAGE);
  let size = data.length;
  while (size > 0) {
    // Compares page by page from the end; only the first piece may be shorter.
    const start = (Math.ceil(size / PAGE) - 1) * PAGE;
    if (data.compare(zeros, 0, size - start, start, size) !== 0) break;
    size = start;
  }
  return size;
}

function layOut(elf: Buffer, segments: readonly Segment[]): Moved[] {
  const loaded = segments.filter((segment) => segment.type === SEGMENT_LOAD);
  // Each segment is written by itself, so segments that overlap could make a small file as large as they like.
  if (loaded.reduce((sum, { fileSize }) => sum + fileSize, 0) > elf.length) {
    throw new Error('its loadable segments overlap');
  }
  let position = PAGE;
  return loaded.map((segment) => {
    const used = sizeWithoutZeros(elf.subarray(segment.offset, segment.offset + segment.fileSize));
    // A note may end in zeros that belong to it.
    const notes = noteSegments(segments).filter((note) => contains(segment, note));
    const fileSize = Math.max(used, ...notes.map((note) => note.offset + note.fileSize - segment.offset));
    const moved = { segment, position, fileSize };
    position += pageUp(fileSize);
    return moved;
  });
}

function contains(segment: Segment, note: Segment): boolean {
  return segment.offset <= note.offset && note.offset + note.fileSize <= segment.offset + segment.fileSize;
}

/** Moves a note segment along with the loadable segment that contains it. */
function moveNote(note: Segment, moved: readonly Moved[]): Moved {
  const home = moved.find(({ segment }) => contains(segment, note));
  if (home === undefined) throw new Error('a note of the kernel inside lies outside its loadable segments');
  return { segment: note, position: home.position + note.offset - home.segment.offset, fileSize: note.fileSize };
}

function writeSegmentHeader(target: Buffer, at: number, { segment, position, fileSize }: Moved): void {
  target.writeUInt32LE(segment.type, at);
  target.writeUInt32LE(segment.flags, at + 4);
  target.writeBigUInt64LE(BigInt(position), at + 8);
  target.writeBigUInt64LE(segment.virtualAddress, at + 16);
  target.writeBigUInt64LE(segment.physicalAddress, at + 24);
  target.writeBigUInt64LE(BigInt(fileSize), at + 32);
  target.writeBigUInt64LE(BigInt(segment.memorySize), at + 40);
  // ELF wants offset and address to agree modulo the alignment; they do for pages.
  target.writeBigUInt64LE(BigInt(segment.type === SEGMENT_LOAD ? PAGE : 4), at + 48);
}

/**
 * Moves the loadable and note segments of the kernel `elf` together. The bytes of the segments, their addresses and the
 * entry point stay.
 *
 * @throws {Error} when a note segment lies outside of the loadable ones, or those overlap.
 */
export function slimKernel(elf: Buffer, segments: readonly Segment[]): SparseFile {
  const loaded = layOut(elf, segments);
  const all = [...loaded, ...noteSegments(segments).map((note) => moveNote(note, loaded))];
  const header = Buffer.alloc(PAGE);
  elf.copy(header, 0, 0, HEADER_SIZE);
  header.writeBigUInt64LE(BigInt(HEADER_SIZE), 32); // e_phoff: right behind this header
  header.writeBigUInt64LE(0n, 40); // e_shoff: no sections
  header.writeUInt16LE(all.length, 56); // e_phnum
  header.fill(0, 58, HEADER_SIZE); // e_shentsize, e_shnum, e_shstrndx
  all.forEach((moved, i) => {
    writeSegmentHeader(header, HEADER_SIZE + i * SEGMENT_HEADER_SIZE, moved);
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
