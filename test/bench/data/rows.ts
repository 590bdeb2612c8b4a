/** What is measured inside, each row a script of the shell. */

export interface WorkRow {
  readonly name: string;
  readonly what: string;
  /** The guest's caches are emptied before. */
  readonly isCold?: true;
  readonly script: string;
  /** Prints what the script has made; not in its time. */
  readonly check?: string;
  /** Programs without which there is no such row. */
  readonly programs?: readonly string[];
}

/** How much is done, from a scale of 1, which is that of the documentation, down to a quick try. */
export interface Amounts {
  readonly scale: number;
  readonly tree: string;
  readonly archived: string;
  readonly gitFiles: number;
  readonly files: number;
  readonly mebibytes: number;
  readonly reads: number;
  readonly sources: number;
  readonly packages: number;
  readonly echoes: number;
}

export function amountsOf(scale: number): Amounts {
  const some = (count: number) => Math.max(2, Math.round(count * scale));
  const isWhole = scale >= 1;
  return {
    scale,
    tree: isWhole ? '/usr' : '/usr/include/linux',
    archived: isWhole ? '/usr/lib/python3' : '/usr/include/linux',
    gitFiles: some(10_000),
    files: some(3000),
    mebibytes: some(512),
    reads: some(4000),
    sources: some(300),
    packages: some(20),
    echoes: some(1000),
  };
}

const GIT = 'git -C git status --porcelain';
const AGAIN = 5;
const again = (command: string) =>
  `for i in ${Array.from({ length: AGAIN }, (_, at) => at).join(' ')}; do ${command}; done`;

/** In the order in which they run: a `find` may leave a file server without descriptors, so it comes last. */
export function workRows(amounts: Amounts): WorkRow[] {
  const { tree, archived, gitFiles, files, mebibytes, reads, sources, packages } = amounts;
  const count = (value: number) => value.toLocaleString('en-US');
  const status = { script: GIT, programs: ['git'] } as const;
  const listed = { script: `find ${tree} -xdev` } as const;
  const python = { programs: ['python3'] } as const;
  return [
    { name: 'git', what: `\`git status\`, ${count(gitFiles)} files, first`, isCold: true, ...status },
    { name: 'git-again', what: '`git status`, again', ...status },
    {
      name: 'untar',
      what: `\`tar x\` of ${count(files)} files`,
      script: 'mkdir tree && tar -C tree -xf tree.tar',
      check: 'find tree -type f | xargs cksum',
    },
    { name: 'rm', what: '`rm -r` of them', script: 'rm -r tree', check: 'test ! -e tree' },
    {
      name: 'write',
      what: `${mebibytes} MiB written and synced`,
      script: `./data-work write new ${mebibytes}`,
    },
    { name: 'read', what: `${mebibytes} MiB read`, isCold: true, script: './data-work read large' },
    {
      name: 'random',
      what: `${count(reads)} random reads of 4 KiB`,
      isCold: true,
      script: `./data-work random large ${reads}`,
    },
    {
      name: 'cc',
      what: `a C build of ${count(sources)} files`,
      isCold: true,
      script: 'make -s -C c',
      check: 'c/main',
      programs: ['make', 'cc'],
    },
    {
      name: 'npm',
      what: `\`npm ci\` of ${packages} packages`,
      isCold: true,
      script: 'cd npm && npm ci --offline --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null',
      check: 'cd npm/node_modules && find . -type f ! -name .package-lock.json | xargs cksum',
      programs: ['npm'],
    },
    { name: 'python', what: '`python3 -c 0`, first', isCold: true, script: 'python3 -c 0', ...python },
    { name: 'python-again', what: `\`python3 -c 0\`, ${AGAIN} times again`, script: again('python3 -c 0'), ...python },
    { name: 'node', what: '`node -e 0`, first', isCold: true, script: 'node -e 0' },
    { name: 'node-again', what: `\`node -e 0\`, ${AGAIN} times again`, script: again('node -e 0') },
    {
      name: 'tar',
      what: `\`tar c\` of ${archived}`,
      isCold: true,
      script: `tar -C / --sort=name --numeric-owner -cf - ${archived.slice(1)}`,
    },
    { name: 'find', what: `\`find ${tree}\`, first`, isCold: true, ...listed },
    { name: 'find-again', what: `\`find ${tree}\`, again`, ...listed },
  ];
}

/** The file that the program reads. @param seconds how long a row may take */
export function rowsFile(rows: readonly WorkRow[], seconds: number): string {
  return rows
    .map(({ name, isCold, script, check = '' }) => `${[name, isCold ? 'c' : '-', seconds, script, check].join('\t')}\n`)
    .join('');
}
