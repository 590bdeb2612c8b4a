/**
 * The parts of an ELF64 kernel that booting needs: its loadable segments and its notes.
 * Facts: elf(5), and Xen's public/elfnote.h for the entry that QEMU boots directly.
 */

/** "\x7fELF" as a big-endian number. */
const ELF_MAGIC = 0x7f454c46;

/** e_machine of x86-64. */
export const MACHINE_X86_64 = 62;

/** Names for an error message; the number itself stands for all others. */
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
/** PT_INTERP: the program needs a loader, and with it libraries. */
export const SEGMENT_INTERPRETER = 3;
const SEGMENT_NOTE = 4;
/** XEN_ELFNOTE_PHYS32_ENTRY: the 32-bit entry point of the PVH boot protocol. */
const NOTE_PVH_ENTRY = 18;
export const HEADER_SIZE = 64;
export const SEGMENT_HEADER_SIZE = 56;
/** A kernel has about five segments; a number above this is damage. */
const SEGMENTS_LIMIT = 64;

/** One program header; positions and sizes are bytes. */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  /** Where its bytes are in the file. */
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  /** How many bytes the file has of it. */
  readonly fileSize: number;
  /** How many bytes it takes in memory; what the file lacks is zero. */
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
  if (entrySize !== SEGMENT_HEADER_SIZE || count === 0 || count > SEGMENTS_LIMIT) {
    throw new Error('the ELF program headers are damaged');
  }
  if (start + count * entrySize > data.length) throw new Error('the ELF program headers lie outside the file');
  return Array.from({ length: count }, (_, i) => segmentAt(data, start + i * entrySize));
}

function segmentAt(data: Buffer, at: number): Segment {
  return {
    type: data.readUInt32LE(at),
    flags: data.readUInt32LE(at + 4),
    offset: Number(data.readBigUInt64LE(at + 8)),
    virtualAddress: data.readBigUInt64LE(at + 16),
    physicalAddress: data.readBigUInt64LE(at + 24),
    fileSize: Number(data.readBigUInt64LE(at + 32)),
    memorySize: Number(data.readBigUInt64LE(at + 40)),
  };
}

/** Where the file's last needed byte ends: debug information and section headers lie behind it. */
export function segmentsEnd(segments: readonly Segment[]): number {
  return Math.max(...segments.map((segment) => segment.offset + segment.fileSize));
}

/** The note segments, in the file's order. */
export function noteSegments(segments: readonly Segment[]): Segment[] {
  return segments.filter((segment) => segment.type === SEGMENT_NOTE);
}

/** True when the kernel carries Xen's PVH entry note, which lets QEMU boot the ELF file itself. */
export function hasPvhEntry(data: Buffer, segments: readonly Segment[]): boolean {
  return noteSegments(segments).some((segment) =>
    notesIn(data.subarray(segment.offset, segment.offset + segment.fileSize)).some(
      (note) => note.owner === 'Xen' && note.type === NOTE_PVH_ENTRY,
    ),
  );
}

/** Owner and type of each note; a note that runs over the end ends the list. */
function notesIn(data: Buffer): { owner: string; type: number }[] {
  const notes: { owner: string; type: number }[] = [];
  const padded = (length: number): number => (length + 3) & ~3;
  for (let at = 0; at + 12 <= data.length; ) {
    const ownerSize = data.readUInt32LE(at);
    const valueSize = data.readUInt32LE(at + 4);
    const type = data.readUInt32LE(at + 8);
    const end = at + 12 + padded(ownerSize) + padded(valueSize);
    if (end > data.length) break;
    notes.push({ owner: data.toString('latin1', at + 12, at + 12 + Math.max(ownerSize - 1, 0)), type });
    at = end;
  }
  return notes;
}
