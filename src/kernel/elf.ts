/**
 * Reads the parts of an ELF64 kernel that booting needs: loadable segments and notes.
 * Sources: elf(5), and Xen's public/elfnote.h for the entry that QEMU boots directly.
 */

/** "\x7fELF" as a big-endian number. */
const ELF_MAGIC = 0x7f454c46;

/** e_machine of x86-64. */
export const MACHINE_X86_64 = 62;

/** Names of machines for error messages, by e_machine. */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [3, 'i386'],
  [21, 'ppc64'],
  [22, 's390x'],
  [40, 'arm'],
  [MACHINE_X86_64, 'x86_64'],
  [183, 'aarch64'],
  [243, 'riscv64'],
  [258, 'loongarch64'],
]);

/** p_type of elf(5). */
export const SEGMENT_LOAD = 1;
export const SEGMENT_DYNAMIC = 2;
/** PT_INTERP: the program needs a dynamic loader, so it may need libraries. */
export const SEGMENT_INTERPRETER = 3;
const SEGMENT_NOTE = 4;
/** XEN_ELFNOTE_PHYS32_ENTRY: the 32-bit entry point of the PVH boot protocol. */
const NOTE_PVH_ENTRY = 18;
/** The owner of Xen's notes. The zero at its end counts. */
const XEN = Buffer.from('Xen\0');
/** Sizes of owner and value, and the type. */
const NOTE_HEADER_SIZE = 12;
export const HEADER_SIZE = 64;
export const SEGMENT_HEADER_SIZE = 56;
/** A kernel has about five segments. A file with more than this is damaged. */
const MAX_SEGMENTS = 64;
/** Most bytes of a note segment that are searched. A kernel's notes have less than a thousand. */
const MAX_NOTE_BYTES = 64 << 10;

/** A program header. Positions and sizes are in bytes. */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  /** Position in the file. */
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  /** Size in the file. */
  readonly fileSize: number;
  /** Size in memory. Bytes beyond `fileSize` are zero. */
  readonly memorySize: number;
}

/** True when `data` begins with the magic number of ELF. */
export function isElf(data: Buffer): boolean {
  return data.length >= 4 && data.readUInt32BE(0) === ELF_MAGIC;
}

/** The machine that an ELF file is for; undefined when `data` is no ELF file. */
export function elfMachineOf(data: Buffer): { machine: number; name: string; is64: boolean } | undefined {
  if (data.length < HEADER_SIZE || !isElf(data)) return undefined;
  const machine = data[5] === 2 ? data.readUInt16BE(18) : data.readUInt16LE(18);
  return { machine, name: MACHINES.get(machine) ?? `machine number ${machine}`, is64: data[4] === 2 };
}

/**
 * The segments of an ELF64 file whose beginning is `data`.
 *
 * @throws {Error} when `data` is not a little-endian ELF64 file or its program headers are damaged.
 */
export function segmentsOf(data: Buffer): Segment[] {
  const kind = elfMachineOf(data);
  if (kind === undefined || !kind.is64 || data[5] !== 1) throw new Error('not a little-endian ELF64 file');
  const start = Number(data.readBigUInt64LE(32));
  const entrySize = data.readUInt16LE(54);
  const count = data.readUInt16LE(56);
  if (entrySize !== SEGMENT_HEADER_SIZE || count === 0 || count > MAX_SEGMENTS) {
    throw new Error('the ELF program headers are damaged');
  }
  if (start + count * entrySize > data.length) throw new Error('the ELF program headers lie outside the file');
  return Array.from({ length: count }, (_, i) => segmentAt(data, start + i * entrySize));
}

function segmentAt(data: Buffer, at: number): Segment {
  return {
    type: data.readUInt32LE(at),
    flags: data.readUInt32LE(at + 4),
    offset: sizeAt(data, at + 8),
    virtualAddress: data.readBigUInt64LE(at + 16),
    physicalAddress: data.readBigUInt64LE(at + 24),
    fileSize: sizeAt(data, at + 32),
    memorySize: sizeAt(data, at + 40),
  };
}

/** A size or a position of 64 bits. Numbers hold it exactly up to 2^53, and no file is as long. */
function sizeAt(data: Buffer, at: number): number {
  const size = data.readBigUInt64LE(at);
  if (size > Number.MAX_SAFE_INTEGER) throw new Error('the ELF program headers are damaged');
  return Number(size);
}

/** End of the last segment in the file. Debug information and section headers come after it. */
export function segmentsEnd(segments: readonly Segment[]): number {
  return Math.max(...segments.map((segment) => segment.offset + segment.fileSize));
}

/** The note segments, in file order. */
export function noteSegments(segments: readonly Segment[]): Segment[] {
  return segments.filter((segment) => segment.type === SEGMENT_NOTE);
}

/** True if the kernel has Xen's PVH entry note. QEMU can then boot the ELF file directly. */
export function hasPvhEntry(data: Buffer, segments: readonly Segment[]): boolean {
  return noteSegments(segments).some(({ offset, fileSize }) =>
    hasPvhNote(data.subarray(offset, offset + Math.min(fileSize, MAX_NOTE_BYTES))),
  );
}

/** Walks the notes of a segment, up to the first that exceeds it. */
function hasPvhNote(notes: Buffer): boolean {
  for (let at = 0; at + NOTE_HEADER_SIZE <= notes.length; ) {
    const ownerSize = notes.readUInt32LE(at);
    const valueSize = notes.readUInt32LE(at + 4);
    const owner = at + NOTE_HEADER_SIZE;
    const end = owner + noteAligned(ownerSize) + noteAligned(valueSize);
    if (end > notes.length) return false;
    const isXen = ownerSize === XEN.length && notes.subarray(owner, owner + ownerSize).equals(XEN);
    if (isXen && notes.readUInt32LE(at + 8) === NOTE_PVH_ENTRY) return true;
    at = end;
  }
  return false;
}

/**
 * The size with the padding that follows a note's owner and value. A file may claim any 32-bit size, and bitwise
 * operators would make a negative number of those from 2^31 on.
 */
function noteAligned(size: number): number {
  return Math.ceil(size / 4) * 4;
}
