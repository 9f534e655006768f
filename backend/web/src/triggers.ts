import type { GitPullRequestFilter, GitPushFilter, GlobFilter } from "./gen/headrace/v1/pipeline_pb";
import type { DeclaredTrigger } from "./gen/headrace/v1/trigger_pb";
import { lastSegment } from "./names";
import { words } from "./words";

// What a trigger listens to, in one line.
export function sourceText(trigger: DeclaredTrigger): string {
  switch (trigger.source.case) {
    case "git": {
      const git = trigger.source.value;
      const filters = [...git.push.map(pushText), ...git.pullRequest.map(pullRequestText)];
      return [git.repository || git.sourceAction, filters.length > 0 ? filters.join("; ") : words.triggers.anyPush].filter(Boolean).join(": ");
    }
    case "webhook": {
      const hook = trigger.source.value;
      const filters = [...hook.filters.map((filter) => `${filter.jsonPath} = ${filter.matchEquals}`), hook.when].filter(Boolean);
      return [`${words.webhooks.name} ${lastSegment(hook.webhook)}`, ...filters].join(": ");
    }
    default:
      return "";
  }
}

// A filter of pushes, in one line.
export function pushText(filter: GitPushFilter): string {
  return [words.triggers.push, globs("branches", filter.branches), globs("tags", filter.tags), globs("files", filter.filePaths)].filter(Boolean).join(" ");
}

// A filter of pull requests, in one line.
export function pullRequestText(filter: GitPullRequestFilter): string {
  return [words.triggers.pullRequest, filter.events.join(", ").toLowerCase(), globs("branches", filter.branches), globs("files", filter.filePaths)].filter(Boolean).join(" ");
}

function globs(what: string, filter: GlobFilter | undefined): string {
  if (!filter || (filter.includes.length === 0 && filter.excludes.length === 0)) return "";
  return [what, filter.includes.join(", "), filter.excludes.length > 0 ? `${words.triggers.not} ${filter.excludes.join(", ")}` : ""].filter(Boolean).join(" ");
}
