// Names of objects as the API writes them: accounts/{account}/pipelines/{pipeline}/… The address
// of a page of the UI is the name of the object that it shows.

// The part after a collection, such as "pipelines"; empty if the name has none.
export function segment(name: string, collection: string): string {
  const parts = name.split("/");
  const at = parts.findIndex((part, i) => i % 2 === 0 && part === collection);
  return at < 0 ? "" : (parts[at + 1] ?? "");
}

// The last part of a name.
export function lastSegment(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

// The name of the pipeline that an object is part of; empty if it is part of none.
export function pipelineOf(name: string): string {
  const match = /^accounts\/[^/]+\/pipelines\/[^/]+/.exec(name);
  return match ? match[0] : "";
}

// The name of the account of an object.
export function accountOf(name: string): string {
  const match = /^accounts\/[^/]+/.exec(name);
  return match ? match[0] : "";
}

// A revision as people write it: 7 digits of a commit, other revisions whole up to 24 characters.
export function shortRevision(revision: string): string {
  if (/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(revision)) return revision.slice(0, 7);
  return revision.length > 24 ? revision.slice(0, 23) + "…" : revision;
}

// A ref without refs/heads/ or refs/tags/.
export function shortRef(ref: string): string {
  return ref.replace(/^refs\/(heads|tags)\//, "");
}

// The first line of a text, at most 300 characters, without characters that turn the direction
// of the text around them or that do not show.
export function oneLine(text: string, limit = 300): string {
  const line = visible(text.slice(0, limit * 4)).split(/\r?\n/, 1)[0] ?? "";
  return line.length > limit ? line.slice(0, limit - 1) + "…" : line;
}

// The text with control characters and direction overrides made visible, at most 20,000
// characters of it. ANSI sequences are dropped. Line breaks and tabs stay.
export function visible(text: string, limit = 20_000): string {
  const cut = text.length > limit ? text.slice(0, limit) + "…" : text;
  return cut
    .replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?)/g, "")
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

// An http or https address as a link may use it; undefined for any other text.
export function safeLink(address: string): string | undefined {
  try {
    const url = new URL(address);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : undefined;
  } catch {
    return undefined;
  }
}
