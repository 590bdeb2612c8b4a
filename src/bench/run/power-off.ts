/** The smallest init: a static x86-64 program of one system call, reboot(2) with LINUX_REBOOT_CMD_POWER_OFF. */

const LOAD_ADDRESS = 0x400000n;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

const CODE = Buffer.from([
  ...[0xb8, 0xa9, 0x00, 0x00, 0x00], // mov eax, 169: reboot
  ...[0xbf, 0xad, 0xde, 0xe1, 0xfe], // mov edi, 0xfee1dead
  ...[0xbe, 0x69, 0x19, 0x12, 0x28], // mov esi, 0x28121969
  ...[0xba, 0xdc, 0xfe, 0x21, 0x43], // mov edx, 0x4321fedc
  ...[0x0f, 0x05], // syscall
  ...[0xeb, 0xfe], // loops for ever if it fails, so that the failure is noticed
]);

/** @returns the program as an ELF file; elf(5) */
export function powerOffProgram(): Buffer {
  const start = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;
  const file = Buffer.alloc(start);
  file.write('\u007fELF', 0, 'latin1');
  // 64 bits, little-endian, version 1.
  file.set([2, 1, 1], 4);
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(62, 18); // EM_X86_64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(LOAD_ADDRESS + BigInt(start), 24);
  file.writeBigUInt64LE(BigInt(ELF_HEADER_BYTES), 32);
  file.writeUInt16LE(ELF_HEADER_BYTES, 52);
  file.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  file.writeUInt16LE(1, 56);
  const size = BigInt(start + CODE.length);
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(5, 68); // read, execute
  file.writeBigUInt64LE(LOAD_ADDRESS, 80);
  file.writeBigUInt64LE(LOAD_ADDRESS, 88);
  file.writeBigUInt64LE(size, 96);
  file.writeBigUInt64LE(size, 104);
  file.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([file, CODE]);
}
