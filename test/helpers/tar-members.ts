/** Members of tar archives in the form of POSIX, also those that no program writes. */
export interface TarMember {
  readonly name: string;
  /** Default: a regular file. */
  readonly flag?: string;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly device?: readonly [major: number, minor: number];
  readonly content?: string | Buffer;
  /** Records of a PAX header in front of it. */
  readonly pax?: Readonly<Record<string, string>>;
  /** In place of its own size. */
  readonly size?: number;
}

export const END_OF_TAR = Buffer.alloc(1024);

export function tarMember({ pax, ...member }: TarMember): Buffer {
  if (pax === undefined) return plain(member);
  const content = Object.entries(pax).map(([name, value]) => paxRecord(name, value));
  return Buffer.concat([plain({ name: 'PaxHeaders/x', flag: 'x', content: Buffer.concat(content) }), plain(member)]);
}

/** `LENGTH NAME=VALUE\n`, whose length counts itself. */
export function paxRecord(name: string, value: string): Buffer {
  const rest = Buffer.from(` ${name}=${value}\n`, 'latin1');
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function plain({ name, flag = '0', link = '', mode = 0o755, uid = 0, device, content = '', size }: TarMember): Buffer {
  const data = Buffer.from(content);
  const header = Buffer.alloc(512);
  const put = (at: number, text: string) => header.write(text, at, 'latin1');
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, '0');
  put(0, name);
  put(100, octal(mode, 8));
  put(108, octal(uid, 8));
  put(116, octal(0, 8));
  put(124, octal(size ?? data.length, 12));
  put(136, octal(0, 12));
  put(148, ' '.repeat(8));
  put(156, flag);
  put(157, link);
  put(257, 'ustar\x0000');
  put(329, octal(device?.[0] ?? 0, 8));
  put(337, octal(device?.[1] ?? 0, 8));
  put(
    148,
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      7,
    )}\0 `,
  );
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}
