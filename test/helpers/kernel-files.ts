/** Kernel files for tests: small, and correct in every field that a reader looks at. */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';

/** Bytes that look random and do not compress. The same seed gives the same bytes. */
export function noise(size: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** A copy of `data` with the bits of `mask` flipped in the byte at `position`. */
export function flipByte(data: Buffer, position: number, mask = 0xff): Buffer {
  const copy = Buffer.from(data);
  copy.writeUInt8(copy.readUInt8(position) ^ mask, position);
  return copy;
}

export interface VmlinuxOptions {
  readonly version: string;
  /** With Xen's PVH entry note; default true. */
  readonly pvh?: boolean;
  /** Bytes of its note segment, in place of notes as a kernel has them. */
  readonly notes?: Buffer;
  /** e_machine; default x86-64. */
  readonly machine?: number;
  /** Size of its text in bytes; default 64 KiB. */
  readonly textSize?: number;
}

/** A note of an ELF file. */
export function note(owner: string, type: number, value: Buffer): Buffer {
  const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  const name = Buffer.from(`${owner}\0`);
  const header = Buffer.alloc(12);
  header.writeUInt32LE(name.length, 0);
  header.writeUInt32LE(value.length, 4);
  header.writeUInt32LE(type, 8);
  return Buffer.concat([header, padded(name), padded(value)]);
}

/** Xen's note with the entry of the PVH boot protocol. */
export const PVH_NOTE = note('Xen', 18, Buffer.from([0x20, 0x0b, 0, 1, 0, 0, 0, 0]));

function segment(type: number, offset: number, address: number, fileSize: number, memorySize: number): Buffer {
  const data = Buffer.alloc(56);
  data.writeUInt32LE(type, 0);
  data.writeUInt32LE(5, 4);
  data.writeBigUInt64LE(BigInt(offset), 8);
  data.writeBigUInt64LE(BigInt(address) + 0xffffffff80000000n, 16);
  data.writeBigUInt64LE(BigInt(address), 24);
  data.writeBigUInt64LE(BigInt(fileSize), 32);
  data.writeBigUInt64LE(BigInt(memorySize), 40);
  data.writeBigUInt64LE(0x200000n, 48);
  return data;
}

/** An ELF kernel: text with the banner and the notes, data that end in zeros, then section headers. */
export function makeVmlinux(options: VmlinuxOptions): Buffer {
  const textSize = options.textSize ?? 64 << 10;
  const text = noise(textSize, options.version);
  text.write(`Linux version %s\0Linux version ${options.version} (builder@host) #1 SMP\n\0`, 4096, 'latin1');
  const notes =
    options.notes ??
    Buffer.concat([
      note('Linux', 257, Buffer.alloc(4)),
      ...(options.pvh === false ? [] : [PVH_NOTE]),
      note('GNU', 3, noise(20, 'id')),
    ]);
  notes.copy(text, 8192);
  const data = Buffer.concat([noise(10000, 'data'), Buffer.alloc(50000)]);
  const textAt = 0x1000;
  const dataAt = textAt + Math.ceil(textSize / 0x1000) * 0x1000 + 0x3000;
  const headers = [
    segment(1, textAt, 0x1000000, text.length, text.length),
    segment(1, dataAt, 0x2000000, data.length, data.length + 30000),
    segment(4, textAt + 8192, 0x1000000 + 8192, notes.length, notes.length),
  ];
  const file = Buffer.alloc(dataAt + data.length + 640, 0);
  file.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(options.machine ?? 62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(0x1000000n, 24);
  file.writeBigUInt64LE(64n, 32);
  file.writeBigUInt64LE(BigInt(dataAt + data.length), 40);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(headers.length, 56);
  file.writeUInt16LE(64, 58);
  file.writeUInt16LE(10, 60);
  Buffer.concat(headers).copy(file, 64);
  text.copy(file, textAt);
  data.copy(file, dataAt);
  return file;
}

export type Packer = 'none' | 'gzip' | 'xz' | 'zstd' | 'lz4' | 'lzo';

/** The programs that the kernel's build runs (scripts/Makefile.lib), with faster levels. */
const PACKERS: Readonly<Record<Exclude<Packer, 'none'>, readonly [string, ...string[]]>> = {
  gzip: ['gzip', '-n', '-c'],
  xz: ['xz', '--check=crc32', '--x86', '--lzma2=preset=1,dict=128MiB', '-c'],
  zstd: ['zstd', '-q', '-3', '-c'],
  lz4: ['lz4', '-q', '-l', '-1', '-c'],
  lzo: ['lzop', '-3', '-c'],
};

/** A reason to skip, or false if the tool for `packer` is installed. */
export function unlessPacker(packer: Packer): string | false {
  if (packer === 'none') return false;
  try {
    execFileSync(PACKERS[packer][0], ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return `the program ${PACKERS[packer][0]} is not installed`;
  }
}

/** What the real tools have packed in this process: most tests pack the same few kernels and modules. */
const packedBefore = new Map<string, Buffer>();

/** `data` packed by the real tool. */
export function packWith(packer: Packer, data: Buffer): Buffer {
  if (packer === 'none') return data;
  const [program, ...args] = PACKERS[packer];
  const key = `${packer} ${createHash('sha256').update(data).digest('hex')}`;
  const packed = packedBefore.get(key) ?? execFileSync(program, args, { input: data, maxBuffer: 1 << 30 });
  packedBefore.set(key, packed);
  // A test may change the bytes that it gets.
  return Buffer.from(packed);
}

/** The payload of a bzImage: the packed kernel, then its size. As in the kernel's build, gzip has no size. */
export function makePayload(packer: Packer, vmlinux: Buffer): Buffer {
  const packed = packWith(packer, vmlinux);
  if (packer === 'gzip') return packed;
  const size = Buffer.alloc(4);
  size.writeUInt32LE(vmlinux.length);
  return Buffer.concat([packed, size]);
}

export interface BzImageOptions {
  readonly version: string;
  readonly payload: Buffer;
  /** Boot protocol; default 2.15. */
  readonly protocol?: number;
  /** xloadflags; default: a 64-bit kernel. */
  readonly loadFlags?: number;
}

/** A bzImage around `payload`. */
export function makeBzImage(options: BzImageOptions): Buffer {
  const setupSize = 5 * 512;
  const stub = 300;
  const bodySize = Math.ceil((stub + options.payload.length + 100) / 16) * 16;
  const file = Buffer.alloc(setupSize + bodySize);
  file.write('MZ', 0, 'latin1');
  file.writeUInt8(4, 0x1f1);
  file.writeUInt32LE(bodySize / 16, 0x1f4);
  file.writeUInt16LE(0xaa55, 0x1fe);
  file.write('HdrS', 0x202, 'latin1');
  file.writeUInt16LE(options.protocol ?? 0x020f, 0x206);
  file.writeUInt16LE(0x600, 0x20e);
  file.writeUInt16LE(options.loadFlags ?? 0x7f, 0x236);
  file.writeUInt32LE(stub, 0x248);
  file.writeUInt32LE(options.payload.length, 0x24c);
  file.write(`${options.version} (builder@host) #1 SMP\0`, 0x800, 'latin1');
  options.payload.copy(file, setupSize + stub);
  return file;
}

/** A bzImage with a kernel of the same version inside. */
export function makeKernel(version: string, packer: Packer = 'gzip', options: Partial<VmlinuxOptions> = {}): Buffer {
  return makeBzImage({ version, payload: makePayload(packer, makeVmlinux({ version, ...options })) });
}
