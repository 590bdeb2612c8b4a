/** Reads the header of an x86 bzImage. All offsets are from Documentation/arch/x86/boot.rst of the kernel. */

/** How many first bytes {@link parseBzImage} needs: the largest setup part and one sector. */
export const HEADER_LENGTH = 256 * 512;

const SECTOR = 512;
/** "HdrS" as a little-endian number. */
const HEADER_MAGIC = 0x53726448;
/** End of the last field that is read here. */
const HEADER_END = 0x250;
/** Protocol 2.08 adds payload_offset and payload_length. */
const PROTOCOL_WITH_PAYLOAD = 0x0208;
/** Protocol 2.12 adds xloadflags. */
const PROTOCOL_WITH_LOAD_FLAGS = 0x020c;
/** XLF_KERNEL_64 of xloadflags: the kernel has a 64-bit entry point. */
const KERNEL_64 = 1;

/** Fields of a bzImage's header. Positions and sizes are in bytes. */
export interface BzImageHeader {
  /** What `uname -r` says when it runs; undefined if the header has no version. */
  readonly version: string | undefined;
  readonly is64: boolean;
  /** Smallest size of a complete file. */
  readonly size: number;
  /** The packed kernel; undefined before protocol 2.08. */
  readonly payload: { readonly offset: number; readonly length: number } | undefined;
}

/** The first word of the version string, which starts 0x200 bytes after the pointer's value. */
function versionAt(data: Buffer, pointer: number, setupSize: number): string | undefined {
  const start = pointer + 0x200;
  if (pointer === 0 || start >= setupSize || start >= data.length) return undefined;
  const end = data.indexOf(0, start);
  const text = data.toString('latin1', start, end < 0 ? Math.min(data.length, setupSize) : end);
  return /^[\w.+~-]+/.exec(text)?.[0];
}

/**
 * Reads the header of a bzImage.
 *
 * @param data The file's first {@link HEADER_LENGTH} bytes, or the whole file if it is shorter.
 * @returns undefined if `data` is no bzImage.
 */
export function parseBzImage(data: Buffer): BzImageHeader | undefined {
  if (data.length < HEADER_END || data.readUInt16LE(0x1fe) !== 0xaa55 || data.readUInt32LE(0x202) !== HEADER_MAGIC) {
    return undefined;
  }
  const protocol = data.readUInt16LE(0x206);
  // 0 means 4, for compatibility with very old loaders.
  const setupSectors = data.readUInt8(0x1f1) || 4;
  const setupSize = (setupSectors + 1) * SECTOR;
  return {
    version: versionAt(data, data.readUInt16LE(0x20e), setupSize),
    is64: protocol >= PROTOCOL_WITH_LOAD_FLAGS && (data.readUInt16LE(0x236) & KERNEL_64) !== 0,
    // syssize counts 16 bytes each. The file may be longer, since a signature may follow.
    size: setupSize + data.readUInt32LE(0x1f4) * 16,
    payload:
      protocol < PROTOCOL_WITH_PAYLOAD
        ? undefined
        : { offset: setupSize + data.readUInt32LE(0x248), length: data.readUInt32LE(0x24c) },
  };
}

/** The architecture of a kernel that is not for x86; undefined if it is not recognized. */
export function foreignArchitectureOf(data: Buffer): string | undefined {
  if (data.length < 64) return undefined;
  const magic = data.toString('latin1', 56, 60);
  if (magic === 'ARMd') return 'aarch64';
  if (magic === 'RSC\x05') return 'riscv64';
  // EFI zboot (arm64, riscv, loongarch): a PE file whose DOS header holds the payload's position.
  if (data.toString('latin1', 0, 2) === 'MZ' && data.toString('latin1', 4, 8) === 'zimg') {
    return 'another architecture (EFI zboot)';
  }
  return undefined;
}
