/** What the parts of content know of each other. */

/** An installed package. */
export interface Package {
  /** One that names it alone: `libc6:amd64`, where there are several. */
  readonly name: string;
  /** What it was built from, with others. */
  readonly source: string;
}

/** What knows the packages of a root. Paths are those in the root. */
export interface PackageManager {
  /** Installed packages of a name, all of them if it is left out. */
  installed(name?: string): Promise<Package[]>;
  /** The names of the packages that each path belongs to; a path that belongs to none is left out. */
  owners(paths: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Digests of files as the packages have them, by their paths: `md5:…`. */
  digests(): Promise<ReadonlyMap<string, string>>;
  /** Files and directories of packages, by their names. */
  files(names: readonly string[]): Promise<string[]>;
}
