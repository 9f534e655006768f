import { signal } from "@preact/signals";
import { href } from "./base";

// Who is logged in.
export interface Session {
  principal: string;
}

// undefined until the server has answered, null if nobody is logged in. A page shows one session at
// most: it loads anew when that ends, so that nothing of it is left for the next person.
export const session = signal<Session | null | undefined>(undefined);

// Where the browser keeps the key of the session: the part of its secret that only pages of this
// origin can read. Pages on other ports of the host get the cookie.
const place = "headrace-session-key";

// The key of the session of this page; empty if there is none.
let key = "";
key = stored();

// Headers of the requests that the session makes.
export function sessionHeaders(): Record<string, string> {
  return key ? { "headrace-session-key": key } : {};
}

// Loads the page anew when another tab logs in or out. A page that comes back from the history of
// the browser has missed it.
export function followSession(): void {
  const look = () => {
    if (stored() !== key) location.reload();
  };
  addEventListener("storage", (event) => {
    if (event.key === place || event.key === null) look();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) look();
  });
}

// Asks the server who is logged in. Throws if it cannot be reached.
export async function loadSession(): Promise<void> {
  const answer = await fetch(href("/session"), { headers: { accept: "application/json", ...sessionHeaders() }, credentials: "same-origin" });
  if (!answer.ok && answer.status !== 401) throw new Error(await refusal(answer));
  if (!answer.ok) await answer.text();
  session.value = answer.ok ? await read(answer) : null;
}

// Logs in by a token. Returns why it was refused, or undefined.
export async function login(token: string): Promise<{ status: number; message: string } | undefined> {
  const answer = await fetch(href("/session"), {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", ...sessionHeaders() },
    credentials: "same-origin",
    body: JSON.stringify({ token }),
  });
  if (!answer.ok) return { status: answer.status, message: await refusal(answer) };
  keep(text(await answer.json(), "key"));
  // A cookie that the browser does not keep, over plain HTTP, is found out here.
  await loadSession();
  return session.value ? undefined : { status: 0, message: "" };
}

// Ends the session on the server and here. Throws if the server did not end it.
export async function logout(): Promise<void> {
  const answer = await fetch(href("/session"), {
    method: "DELETE",
    credentials: "same-origin",
    headers: { "content-type": "application/json", ...sessionHeaders() },
  });
  if (!answer.ok) throw new Error(await refusal(answer));
  sessionEnded();
}

// Shows the login, since the server no longer accepts the session.
export function sessionEnded(): void {
  if (!session.value) return;
  // Another tab may have logged in meanwhile.
  if (stored() === key) keep("");
  location.reload();
}

// The key that is stored; the one of this page in a browser without storage.
function stored(): string {
  try {
    return localStorage.getItem(place) ?? "";
  } catch {
    return key;
  }
}

function keep(value: string): void {
  key = value;
  try {
    if (value) localStorage.setItem(place, value);
    else localStorage.removeItem(place);
  } catch {
    // Storage is off: the session ends with the page.
  }
}

async function read(answer: Response): Promise<Session> {
  return { principal: text(await answer.json(), "principal") };
}

function text(body: unknown, field: string): string {
  const value: unknown = typeof body === "object" && body !== null ? Object.getOwnPropertyDescriptor(body, field)?.value : undefined;
  return typeof value === "string" ? value : "";
}

async function refusal(answer: Response): Promise<string> {
  const text = (await answer.text()).slice(0, 500);
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) {
      if ("message" in body) return String(body.message);
      if ("error" in body) return String(body.error);
    }
  } catch {
    // It is not JSON, so it is the message.
  }
  return text.trim();
}
