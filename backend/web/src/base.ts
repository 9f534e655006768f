// Where the UI is served. Scripts are at <base>/assets/, so that the place of this one says what
// the base path is, also behind a proxy that adds one.
export const base: URL = new URL("../", import.meta.url);

// Absolute path in the browser of a path of the UI, such as "/accounts/dev". A path that begins with
// several slashes would lead to another host.
export function href(path: string): string {
  return base.pathname + path.replace(/^[/\\]+/, "");
}

// Path of the UI of an address, or undefined if the address is outside of the UI.
export function within(address: URL): string | undefined {
  if (address.origin !== base.origin || !address.pathname.startsWith(base.pathname)) return undefined;
  return "/" + address.pathname.slice(base.pathname.length);
}
