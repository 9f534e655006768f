// Matching of paths, apart from the browser.

// A page of the UI. Parts of the pattern that begin with ":" match one part of a path.
export interface Route<View> {
  pattern: string;
  view: View;
}

// The route that a path matches, and the parts of the path by their names in the pattern.
export function match<View>(routes: readonly Route<View>[], path: string): { route: Route<View>; params: Record<string, string> } | undefined {
  const parts = split(path);
  for (const route of routes) {
    const params = matchPattern(split(route.pattern), parts);
    if (params) return { route, params };
  }
  return undefined;
}

function split(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

function matchPattern(pattern: string[], parts: string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, expected] of pattern.entries()) {
    const part = decode(parts[i] ?? "");
    if (part === undefined) return undefined;
    if (expected.startsWith(":")) params[expected.slice(1)] = part;
    else if (expected !== part) return undefined;
  }
  return params;
}

// A part of a path as text, or undefined if it is none.
export function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
