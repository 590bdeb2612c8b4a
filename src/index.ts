/** The public API of this package. Import nothing else. */
import { serveOwn } from './control/serve-own.js';
import { Sandbox } from './sandbox/sandbox.js';
import { nameOptionsAsKeys } from './util/option-names.js';

nameOptionsAsKeys();
Sandbox.serve = serveOwn;

export { type ConfigOptions, configFromOptions } from './config/options.js';
export type { Duration } from './config/parsers/duration.js';
export type { Size } from './config/parsers/size.js';
export {
  formatSandboxCfg,
  type LoadOptions,
  loadSandboxCfg,
  parseSandboxCfg,
  type SaveOptions,
  saveSandboxCfg,
} from './config/sandbox-cfg/sandbox-cfg.js';
export type * from './config/types.js';
export type { ConnectedSandbox, ConnectOptions } from './control/connect.js';
export { connectSandbox, runningSandboxes } from './control/lazy.js';
export type { ListedSandbox, ListOptions } from './control/list.js';
export type { RecordedMount, RecordedScreen, SandboxRecord } from './control/record.js';
export type { SandboxStats } from './control/requests.js';
export {
  type BakeOptions,
  type CreatedImage,
  type Damage,
  Images,
  type PruneOptions,
  type Removal,
  type StoredImage,
} from './image/images.js';
export type { ExitStatus } from './sandbox/exit-status.js';
export type { Files } from './sandbox/files/files.js';
export type { CopyOptions, CopyProgress, CopyResult, Skipped } from './sandbox/files/tree/types.js';
export type * from './sandbox/files/types.js';
export type { FileWatcher } from './sandbox/files/watch.js';
export { SandboxPool } from './sandbox/pool/pool.js';
export type { PoolOptions, PoolStats, TakeOptions } from './sandbox/pool/types.js';
export type { CreateOptions, SandboxOptions } from './sandbox/prepare/create-types.js';
export type { SandboxProcess } from './sandbox/process/process.js';
export type { ProcessExit, RunOptions, RunResult, SpawnOptions } from './sandbox/process/types.js';
export type { PublishedPort } from './sandbox/publish/published-port.js';
export type { PublishOptions } from './sandbox/publish/types.js';
export { type RunOnceOptions, type RunOnceResult, run } from './sandbox/run-once.js';
export type { Screen } from './sandbox/screen/screen.js';
export type { Button, ClickOptions, Listening } from './sandbox/screen/types.js';
export type { Observers, StartOptions as LaunchOptions } from './sandbox/types.js';
export { SandboxError, type SandboxErrorDetails, type Stage } from './util/errors.js';
export { Sandbox };
