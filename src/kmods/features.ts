/** Computes which features of a module set a kernel has: built in, as a module, or not at all. */

import { SandboxError } from '../util/errors.js';
import { option } from '../util/option-names.js';
import type { ModuleSet } from './sets.js';
import { type ModuleState, type ModuleTree, stateOf } from './tree.js';

/** State of a set's feature in one kernel. */
export interface FeatureState {
  readonly set: string;
  readonly title: string;
  readonly required: boolean;
  /** Build option of the kernel: CONFIG_… */
  readonly option: string;
  /** `absent` if a module of it is absent, `built-in` if all are built in, `module` otherwise. */
  readonly state: ModuleState;
  /** State of each module that it needs, by name. */
  readonly modules: Readonly<Record<string, ModuleState>>;
}

/** States of all features of `sets`, in order. */
export function featureStates(tree: ModuleTree, sets: readonly ModuleSet[]): FeatureState[] {
  return sets.flatMap((set) =>
    set.features.map((feature) => {
      const states = feature.modules.map((name) => [name, stateOf(tree, name)] as const);
      const all = states.map(([, state]) => state);
      const state = all.includes('absent') ? 'absent' : all.includes('module') ? 'module' : 'built-in';
      const { title, required, option } = feature;
      return { set: set.name, title, required, option, state, modules: Object.fromEntries(states) };
    }),
  );
}

/** The first required feature that is absent; undefined if there is none. */
export function missingFeature(states: readonly FeatureState[]): FeatureState | undefined {
  return states.find((feature) => feature.required && feature.state === 'absent');
}

/** "has no 9p file system, neither built in nor as a module". */
export function lackSentence(feature: FeatureState): string {
  return `has no ${feature.title}, neither built in nor as a module`;
}

/**
 * The error `feature-absent`, for a kernel that lacks a required feature.
 *
 * @param serving Versions of installed kernels that have every required feature, newest first.
 */
export function featureAbsentError(version: string, feature: FeatureState, serving: readonly string[]): SandboxError {
  const [other] = serving;
  return new SandboxError({
    stage: 'modules',
    code: 'feature-absent',
    message: `kernel ${version} ${lackSentence(feature)}`,
    remedy:
      other === undefined
        ? `install a kernel that is built with ${feature.option} (Debian: linux-image-amd64)`
        : `use kernel ${other}, which is installed and has it (${option('kernel.version')} ${other})`,
  });
}

/** Parameters of modules, by name, in all of `sets`. */
export function parametersOf(sets: readonly ModuleSet[]): ReadonlyMap<string, string> {
  return new Map(sets.flatMap(({ features }) => features.flatMap(({ parameters = {} }) => Object.entries(parameters))));
}

/** Modules of all present features, in order. */
export function modulesOf(states: readonly FeatureState[]): string[] {
  return states
    .filter((feature) => feature.state !== 'absent')
    .flatMap((feature) =>
      Object.entries(feature.modules)
        .filter(([, state]) => state === 'module')
        .map(([name]) => name),
    );
}
