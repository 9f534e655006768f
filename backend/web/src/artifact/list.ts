import type { ActionExecution, Artifact, ArtifactFile } from "../gen/headrace/v1/execution_pb";

// What the list of artifacts needs of an action.
export type Maker = Pick<ActionExecution, "id" | "action" | "retried" | "inputArtifacts" | "outputArtifacts">;

// An action execution with its stage.
export interface Place {
  stage: string;
  action: string;
  id: string;
}

// An artifact of an execution. maker is undefined if another execution made it. replaced says that
// a retry of the stage replaced the action that made it.
export interface Row {
  artifact: Artifact;
  maker: Place | undefined;
  replaced: boolean;
  users: readonly Place[];
}

// The artifacts that the actions of an execution made, in the order of its stages and actions,
// then those that it took from another execution.
export function artifactsOf(stages: readonly { stage: string; actions: readonly Maker[] }[]): Row[] {
  const rows: (Row & { users: Place[] })[] = [];
  const known = new Map<string, { users: Place[] }>();
  const add = (artifact: Artifact, maker: Place | undefined, replaced: boolean): void => {
    // Two actions that made the same bytes under the same name share who used them.
    const users = known.get(keyOf(artifact))?.users ?? [];
    known.set(keyOf(artifact), { users });
    rows.push({ artifact, maker, replaced, users });
  };
  for (const { stage, actions } of stages) {
    for (const one of actions) {
      for (const artifact of one.outputArtifacts) add(artifact, { stage, action: one.action, id: one.id }, one.retried);
    }
  }
  for (const { stage, actions } of stages) {
    for (const one of actions) {
      for (const artifact of one.inputArtifacts) {
        if (!known.has(keyOf(artifact))) add(artifact, undefined, false);
        known.get(keyOf(artifact))?.users.push({ stage, action: one.action, id: one.id });
      }
    }
  }
  return rows;
}

function keyOf(artifact: Pick<Artifact, "name" | "digest">): string {
  return `${artifact.digest} ${artifact.name}`;
}

// The row of an artifact that an address names. Without a digest it is the one that counts: the
// newest that no retry replaced.
export function findRow(rows: readonly Row[], name: string, digest: string): Row | undefined {
  const named = rows.filter((row) => row.artifact.name === name && (!digest || row.artifact.digest === digest));
  return named.findLast((row) => !row.replaced) ?? named.at(-1);
}

// The address of the files of an artifact: on the page of its execution.
export function artifactPath(execution: string, artifact: Pick<Artifact, "name" | "digest">): string {
  return `/${execution}?${new URLSearchParams({ face: "artifacts", artifact: artifact.name, digest: artifact.digest }).toString()}`;
}

// The files whose path contains a text, in any case.
export function filterFiles(files: readonly ArtifactFile[], text: string): readonly ArtifactFile[] {
  const wanted = text.toLowerCase();
  return wanted ? files.filter((file) => file.path.toLowerCase().includes(wanted)) : files;
}

// Characters that do not show, and those that turn the direction of the text around them.
const unseen = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

// A path as text on one line. Paths may hold any character, such as line breaks.
export function pathText(path: string): string {
  return path.replace(unseen, "\ufffd");
}

// A name for a file to save: the last part of its path, without characters that some system
// does not allow or that hide what the name ends with. At most 200 characters, and the ending
// stays.
export function saveName(path: string): string {
  const last = path.split("/").findLast((part) => part !== "") ?? "";
  const name = last.replace(unseen, "_").replace(/[\\/:*?"<>|]/g, "_").replace(/^[. ]+|[. ]+$/g, "");
  if (name.length <= 200) return name || "file";
  const ending = /\.[A-Za-z0-9]{1,12}$/.exec(name)?.[0] ?? "";
  // Half of a character that was cut is left out.
  return name.slice(0, 200 - ending.length).replace(/[\ud800-\udbff]$/, "") + ending;
}
