import { signal } from "@preact/signals";
import { href } from "./base";

// Who is logged in.
export interface Session {
  principal: string;
}

// undefined until the server has answered, null if nobody is logged in.
export const session = signal<Session | null | undefined>(undefined);

// Asks the server who is logged in. Throws if it cannot be reached.
export async function loadSession(): Promise<void> {
  const answer = await fetch(href("/session"), { headers: { accept: "application/json" }, credentials: "same-origin" });
  if (!answer.ok && answer.status !== 401) throw new Error(await refusal(answer));
  if (!answer.ok) await answer.text();
  session.value = answer.ok ? await read(answer) : null;
}

// Logs in by a token. Returns why it was refused, or undefined.
export async function login(token: string): Promise<{ status: number; message: string } | undefined> {
  const answer = await fetch(href("/session"), {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    credentials: "same-origin",
    body: JSON.stringify({ token }),
  });
  if (!answer.ok) return { status: answer.status, message: await refusal(answer) };
  // A cookie that the browser does not keep, over plain HTTP, is found out here.
  await loadSession();
  return session.value ? undefined : { status: 0, message: "" };
}

// Ends the session here and on the server.
export async function logout(): Promise<void> {
  await fetch(href("/session"), { method: "DELETE", credentials: "same-origin", headers: { "content-type": "application/json" } });
  sessionEnded();
}

// Records that the server no longer accepts the session.
export function sessionEnded(): void {
  session.value = null;
}

async function read(answer: Response): Promise<Session> {
  const body: unknown = await answer.json();
  const principal = typeof body === "object" && body !== null && "principal" in body ? String(body.principal) : "";
  return { principal };
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
