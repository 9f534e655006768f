import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { accounts, loadAccounts } from "./accounts";
import { explainError } from "./api";
import { clock } from "./format";
import { Lazy, type Load } from "./lazy";
import { startLive, stream } from "./live";
import { Link } from "./parts/link";
import { Loading, Heading } from "./parts/page";
import { keys, lastAccount, theme, zone, type Theme } from "./preferences";
import { navigate, path, query } from "./router";
import { decode, match } from "./routes";
import { logout, session } from "./session";
import { startKeys } from "./keys";
import { views } from "./views";
import { words } from "./words";

const palette: Load = () => import("./views/palette");
const keysList: Load = () => import("./views/keys");

// Which dialog is open over the page.
export const dialog = signal<"palette" | "keys" | undefined>(undefined);

// Why the last logout failed.
const notLeft = signal<string | undefined>(undefined);

// Logs out, or says why it did not.
export async function leave(): Promise<void> {
  notLeft.value = undefined;
  try {
    await logout();
  } catch (error) {
    notLeft.value = explainError(error);
  }
}

// The account of the page that is shown, or the last one.
function currentAccount(): string {
  const known = accounts.value ?? [];
  const inPath = /^\/accounts\/([^/]+)/.exec(path.value)?.[1];
  const decoded = inPath && decode(inPath);
  if (decoded) return decoded;
  return known.includes(lastAccount.value) ? lastAccount.value : (known[0] ?? "");
}

// The frame of all pages: bar, navigation and the page.
export function Shell() {
  const [failure, setFailure] = useState<string>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    loadAccounts().then(
      () => setFailure(undefined),
      (error: unknown) => setFailure(explainError(error)),
    );
  }, [round]);
  useEffect(() => {
    startLive();
    return startKeys((name) => (dialog.value = name), currentAccount);
  }, []);
  const account = currentAccount();
  useEffect(() => {
    if (path.value === "/" && account) navigate(`/accounts/${encodeURIComponent(account)}`, { replace: true });
    else if (account) lastAccount.value = account;
  }, [account, path.value]);
  const wall = query.value.get("wall") === "1";
  return (
    <div class={wall ? "shell wall" : "shell"}>
      {!wall && (
        <button type="button" class="skip" onClick={() => document.getElementById("content")?.focus()}>
          {words.skip}
        </button>
      )}
      {!wall && <Bar account={account} />}
      <Banner />
      {notLeft.value !== undefined && (
        <p class="notice bad" role="alert">
          {words.bar.notLoggedOut(notLeft.value)}
        </p>
      )}
      <main id="content" tabIndex={-1}>
        {failure ? (
          <div class="notice bad" role="alert">
            <p>{failure}</p>
            <button type="button" onClick={() => setRound((n) => n + 1)}>
              {words.errors.retry}
            </button>
          </div>
        ) : accounts.value === undefined ? (
          <Loading />
        ) : accounts.value.length === 0 ? (
          <p class="notice">{words.errors.noAccounts}</p>
        ) : (
          <Page />
        )}
      </main>
      {dialog.value === "palette" && <Lazy load={palette} params={{ account }} />}
      {dialog.value === "keys" && <Lazy load={keysList} params={{}} />}
    </div>
  );
}

function Page() {
  const found = match(views, path.value);
  if (found) return <Lazy key={path.value} load={found.route.view} params={found.params} />;
  if (path.value === "/") return <Loading />;
  return (
    <>
      <Heading title={words.errors.notFound} />
      <p>{words.errors.noPage(path.value)}</p>
    </>
  );
}

function Bar({ account }: { account: string }) {
  const root = `/accounts/${encodeURIComponent(account)}`;
  const items: [string, string, boolean][] = [
    [root, words.nav.pipelines, path.value === root || path.value.startsWith(root + "/pipelines")],
    [root + "/executions", words.nav.executions, path.value === root + "/executions"],
    [root + "/triggers", words.nav.triggers, path.value.startsWith(root + "/triggers")],
    [root + "/decisions", words.nav.decisions, path.value === root + "/decisions"],
    [root + "/webhooks", words.nav.webhooks, path.value.startsWith(root + "/webhooks")],
    [root + "/deliveries", words.nav.deliveries, path.value === root + "/deliveries"],
  ];
  return (
    <header class="bar">
      <Link to={root} class="brand">
        <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
          <rect width="16" height="16" rx="3" fill="currentColor" />
          <path class="gate" d="M3 3v10M8 3v4m0 3v3M13 3v10M3 8h10" />
        </svg>
        {words.product}
      </Link>
      {(accounts.value?.length ?? 0) > 0 && (
        <label class="account">
          <span class="hidden">{words.bar.account}</span>
          <select value={account} onChange={(event) => navigate(`/accounts/${encodeURIComponent(event.currentTarget.value)}`)}>
            {!accounts.value?.includes(account) && <option value={account}>{account}</option>}
            {accounts.value?.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      <nav aria-label={words.nav.label}>
        {items.map(([to, label, current]) => (
          <Link key={to} to={to} aria-current={current ? "page" : undefined}>
            {label}
          </Link>
        ))}
      </nav>
      <div class="bar-end">
        <Live />
        <button type="button" class="search" onClick={() => (dialog.value = "palette")}>
          {words.bar.search}
          {keys.value === "on" && <kbd aria-hidden="true">{words.bar.searchKey}</kbd>}
        </button>
        <Settings />
      </div>
    </header>
  );
}

// A dot and a word that say whether the page is live.
function Live() {
  if (!stream.value.live) return null;
  return (
    <span class="live">
      <span class="dot" aria-hidden="true" />
      {words.live.live}
    </span>
  );
}

function Settings() {
  return (
    <details class="settings" onFocusOut={closeOutside}>
      <summary aria-label={words.bar.menu}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M8 1a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7ZM1.5 15c0-3.6 2.9-5.5 6.5-5.5s6.5 1.9 6.5 5.5Z" fill="currentColor" />
        </svg>
      </summary>
      <div class="menu">
        <p class="who">{words.bar.principal(session.value?.principal ?? "")}</p>
        <label>
          {words.bar.zone}
          <select value={zone.value} onChange={(event) => (zone.value = event.currentTarget.value === "utc" ? "utc" : "local")}>
            <option value="local">{words.bar.zones.local}</option>
            <option value="utc">{words.bar.zones.utc}</option>
          </select>
        </label>
        <label>
          {words.bar.theme}
          <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
            <option value="system">{words.bar.themes.system}</option>
            <option value="light">{words.bar.themes.light}</option>
            <option value="dark">{words.bar.themes.dark}</option>
          </select>
        </label>
        <button type="button" onClick={() => (dialog.value = "keys")}>
          {words.bar.keys}
        </button>
        <button type="button" onClick={() => void leave()}>
          {words.bar.logout}
        </button>
      </div>
    </details>
  );
}

function closeOutside(event: FocusEvent): void {
  const menu = event.currentTarget;
  if (menu instanceof HTMLDetailsElement && event.relatedTarget instanceof Node && !menu.contains(event.relatedTarget)) menu.open = false;
}

// Says that what is shown may be out of date, and since when.
function Banner() {
  const { live, lastUpdate, refused } = stream.value;
  if (refused)
    return (
      <div role="status" class="banner-place">
        <p class="banner">
          <strong>{words.live.paused}</strong>: {refused}
        </p>
      </div>
    );
  return (
    <div role="status" class="banner-place">
      {!live && lastUpdate !== undefined && (
        <p class="banner">
          <strong>{words.live.paused}</strong>, {words.live.last} <time dateTime={new Date(lastUpdate).toISOString()}>{clock(lastUpdate, zone.value)}</time>. {words.live.trying}
        </p>
      )}
    </div>
  );
}
