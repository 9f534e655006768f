import { base } from "./base";

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
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

// An http or https address as a link may use it; undefined for any other text. Links do not lead to
// other ports of the host of the UI or to this machine: browsers would send the cookie of the session
// to whatever listens there.
export function safeLink(address: string, ui: URL = base): string | undefined {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return undefined;
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return undefined;
  if (url.origin === ui.origin && url.pathname.startsWith(ui.pathname)) return url.href;
  const host = url.hostname.replace(/\.+$/, "");
  return host === ui.hostname || local.test(host) ? undefined : url.href;
}

// Names and addresses of the machine itself, as URL writes them.
const local = /^(?:(?:.+\.)?localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\]|\[::ffff:(?:7f[0-9a-f]{2}:[0-9a-f]+|0:0)\])$/;
