import { computed, signal } from "@preact/signals";
import { base, href, within } from "./base";

const address = signal(new URL(location.href));

// Path of the page that is shown, such as /accounts/dev.
export const path = computed(() => within(address.value) ?? "/");

// The query of the address: filters, tabs, what is selected.
export const query = computed(() => address.value.searchParams);

// Part of the address after "#".
export const fragment = computed(() => address.value.hash.slice(1));

// Shows another page, given as a path of the UI with its query.
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const next = new URL(href(to), base);
  if (next.href !== address.value.href) {
    if (options.replace) history.replaceState(null, "", next);
    else history.pushState(null, "", next);
  }
  address.value = next;
}

// Changes parts of the query; an empty value removes its part. The entry of the history is
// replaced unless push is set, so that "back" leaves the page instead of undoing each letter.
export function setQuery(changes: Record<string, string | undefined>, options: { push?: boolean } = {}): void {
  const next = new URL(address.value);
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.searchParams.set(key, value);
    else next.searchParams.delete(key);
  }
  if (next.href === address.value.href) return;
  if (options.push) history.pushState(null, "", next);
  else history.replaceState(null, "", next);
  address.value = next;
}

// Follows links of the UI without loading the page again, and the browser's own back and forward.
export function startRouter(): void {
  addEventListener("popstate", () => (address.value = new URL(location.href)));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || !link.href || link.target || link.hasAttribute("download")) return;
    const to = new URL(link.href);
    const inside = within(to);
    if (inside === undefined || inside.startsWith("/assets/")) return;
    event.preventDefault();
    navigate(inside + to.search + to.hash);
  });
}
