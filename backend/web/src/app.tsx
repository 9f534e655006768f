import { useEffect, useState } from "preact/hooks";
import { explainError } from "./api";
import { Lazy } from "./lazy";
import { loadSession, session } from "./session";
import { Shell } from "./shell";
import { words } from "./words";

const login = () => import("./views/login");

// The whole UI: the login, or the pages.
export function App() {
  const [failure, setFailure] = useState<string>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    loadSession().then(
      () => setFailure(undefined),
      (error: unknown) => setFailure(explainError(error)),
    );
  }, [round]);
  if (failure) {
    return (
      <main class="alone">
        <div class="notice bad" role="alert">
          <h1>{words.errors.title}</h1>
          <p>{failure}</p>
          <button type="button" onClick={() => setRound((n) => n + 1)}>
            {words.errors.retry}
          </button>
        </div>
      </main>
    );
  }
  if (session.value === undefined) return null;
  if (session.value === null) return <Lazy load={login} params={{}} />;
  return <Shell />;
}
