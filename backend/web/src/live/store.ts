import { batch, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { ActionExecution, Execution, StageExecution } from "../gen/headrace/v1/execution_pb";
import type { PipelineState } from "../gen/headrace/v1/pipeline_pb";
import type { PipelineSummary, WatchAccountResponse } from "../gen/headrace/v1/watch_pb";

// A stage of an execution, and the ids of its actions in the order of their arrival.
export interface LiveStage {
  stage: string;
  actions: readonly string[];
}

// An execution that is watched. Each action is a signal of its own, so that a patch of one action
// renders one cell. shape changes only if stages or actions are added.
export interface LiveExecution {
  execution: ReadonlySignal<Execution>;
  shape: ReadonlySignal<readonly LiveStage[]>;
  action(id: string): ReadonlySignal<ActionExecution> | undefined;
  // All actions, read without a subscription.
  actions(): ActionExecution[];
  // Changes with each patch of any action.
  revision: ReadonlySignal<number>;
}

class WatchedExecution implements LiveExecution {
  readonly execution: Signal<Execution>;
  readonly shape = signal<readonly LiveStage[]>([]);
  readonly revision = signal(0);
  readonly #actions = new Map<string, Signal<ActionExecution>>();

  constructor(first: Execution) {
    this.execution = signal(first);
    this.merge(first);
  }

  action(id: string): Signal<ActionExecution> | undefined {
    return this.#actions.get(id);
  }

  actions(): ActionExecution[] {
    return [...this.#actions.values()].map((action) => action.peek());
  }

  // Takes all of an execution in, its actions included: what it had before is replaced.
  replace(execution: Execution): void {
    const kept = new Set(execution.stages.flatMap((stage) => stage.actions.map((action) => action.id)));
    for (const id of this.#actions.keys()) if (!kept.has(id)) this.#actions.delete(id);
    this.shape.value = this.shape.peek().map((stage) => ({ ...stage, actions: stage.actions.filter((id) => kept.has(id)) }));
    this.merge(execution);
  }

  // Takes a patch in: all of the execution but only those actions that changed.
  merge(patch: Execution): void {
    const before = this.shape.peek();
    let changed = before.length !== patch.stages.length;
    const after = patch.stages.map((stage, i) => {
      const known = before[i]?.stage === stage.stage ? before[i] : before.find((other) => other.stage === stage.stage);
      const added = this.#mergeActions(stage);
      if (known && added.length === 0) {
        changed ||= known !== before[i];
        return known;
      }
      changed = true;
      return { stage: stage.stage, actions: [...(known?.actions ?? []), ...added] };
    });
    if (changed) this.shape.value = after;
    this.execution.value = patch;
    this.revision.value++;
  }

  #mergeActions(stage: StageExecution): string[] {
    const added: string[] = [];
    for (const action of stage.actions) {
      const known = this.#actions.get(action.id);
      if (known) known.value = action;
      else {
        this.#actions.set(action.id, signal(action));
        added.push(action.id);
      }
    }
    return added;
  }
}

// What the live updates have told so far.
export class Store {
  // Summaries of pipelines in the order of names; undefined before the first snapshot with them.
  readonly overview = signal<readonly string[] | undefined>(undefined);
  readonly #summaries = new Map<string, Signal<PipelineSummary>>();
  readonly #states = new Map<string, Signal<PipelineState | null | undefined>>();
  readonly #executions = new Map<string, Signal<WatchedExecution | null | undefined>>();
  // Names that arrived since the snapshot began; undefined outside of a snapshot.
  #arrived: Set<string> | undefined;

  // Summary of a pipeline of the overview.
  summary(name: string): ReadonlySignal<PipelineSummary> | undefined {
    return this.#summaries.get(name);
  }

  // State of a pipeline: undefined before it is known, null if it does not exist.
  state(name: string): ReadonlySignal<PipelineState | null | undefined> {
    return entry(this.#states, name);
  }

  // An execution: undefined before it is known, null if it does not exist.
  execution(name: string): ReadonlySignal<LiveExecution | null | undefined> {
    return entry(this.#executions, name);
  }

  // Forgets everything, for another account.
  clear(): void {
    batch(() => {
      this.overview.value = undefined;
      this.#summaries.clear();
      this.#arrived = undefined;
      for (const state of this.#states.values()) state.value = undefined;
      for (const execution of this.#executions.values()) execution.value = undefined;
    });
  }

  // Takes a message of the stream in. overview says that the stream sends all summaries.
  apply(message: WatchAccountResponse, overview: boolean): void {
    batch(() => {
      if (message.snapshot) this.#arrived = new Set();
      const arrived = this.#arrived;
      this.#applySummaries(message, overview);
      for (const state of message.states) {
        entry(this.#states, state.name).value = state;
        arrived?.add(state.name + "/state");
      }
      for (const execution of message.executions) this.#applyExecution(execution, arrived);
      for (const name of message.deletedExecutions) entry(this.#executions, name).value = null;
      if (arrived && !message.more) {
        this.#forgetMissing(arrived, overview);
        this.#arrived = undefined;
      }
    });
  }

  #applySummaries(message: WatchAccountResponse, overview: boolean): void {
    let added = false;
    for (const summary of message.pipelines) {
      this.#arrived?.add(summary.name);
      const known = this.#summaries.get(summary.name);
      if (known) known.value = summary;
      else {
        this.#summaries.set(summary.name, signal(summary));
        added = true;
      }
    }
    for (const name of message.deletedPipelines) {
      added = this.#summaries.delete(name) || added;
      entry(this.#states, name).value = null;
    }
    if (overview && (added || this.overview.peek() === undefined) && !message.more) this.#order();
  }

  #applyExecution(execution: Execution, arrived: Set<string> | undefined): void {
    const slot = entry(this.#executions, execution.name);
    const known = slot.peek();
    if (!known) slot.value = new WatchedExecution(execution);
    else if (arrived && !arrived.has(execution.name)) known.replace(execution);
    else known.merge(execution);
    arrived?.add(execution.name);
  }

  // After a snapshot, what has not arrived does not exist, or is no longer asked for.
  #forgetMissing(arrived: Set<string>, overview: boolean): void {
    for (const name of this.#summaries.keys()) if (!arrived.has(name)) this.#summaries.delete(name);
    for (const [name, state] of this.#states) if (!arrived.has(name + "/state") && state.peek()) state.value = undefined;
    for (const [name, execution] of this.#executions) if (!arrived.has(name) && execution.peek()) execution.value = undefined;
    if (overview) this.#order();
    else this.overview.value = undefined;
  }

  #order(): void {
    this.overview.value = [...this.#summaries.keys()].sort();
  }
}

function entry<T>(map: Map<string, Signal<T | null | undefined>>, name: string): Signal<T | null | undefined> {
  let found = map.get(name);
  if (!found) {
    found = signal<T | null | undefined>(undefined);
    map.set(name, found);
  }
  return found;
}
