/**
 * The signature behind a module's last section: a PKCS#7 message, 12 bytes that end with its size, and a line that says that it is there.
 * https://docs.kernel.org/admin-guide/module-signing.html
 */

const MARK = Buffer.from('~Module signature appended~\n');
/** struct module_signature of include/linux/module_signature.h; its last field is the size, big-endian. */
const TRAILER_BYTES = 12;

/** The module without its signature; the very same where there is none, or where the size that it gives cannot be. */
export function withoutSignature(data: Buffer): Buffer {
  const mark = data.length - MARK.length;
  if (mark < TRAILER_BYTES || !data.subarray(mark).equals(MARK)) return data;
  const end = mark - TRAILER_BYTES - data.readUInt32BE(mark - 4);
  return end > 0 ? data.subarray(0, end) : data;
}
