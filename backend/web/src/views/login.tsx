import { useRef, useState } from "preact/hooks";
import { explainError } from "../api";
import { Heading } from "../parts/page";
import { login } from "../session";
import { words } from "../words";

// Plain HTTP from another machine: browsers keep no secure cookie there.
const insecure = !isSecureContext;

// Log in with a token.
export default function Login() {
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? "";
    if (!token) {
      setError(words.login.empty);
      field.current?.focus();
      return;
    }
    setBusy(true);
    try {
      const refused = await login(token);
      if (!refused) return;
      setError(reason(refused));
      field.current?.select();
    } catch (failure) {
      setError(explainError(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="alone">
      <form class="login" onSubmit={(event) => void submit(event)} noValidate>
        <p class="brand" aria-hidden="true">
          <svg viewBox="0 0 16 16" width="22" height="22">
            <rect width="16" height="16" rx="3" fill="currentColor" />
            <path class="gate" d="M3 3v10M8 3v4m0 3v3M13 3v10M3 8h10" />
          </svg>
          {words.product}
        </p>
        <Heading title={words.login.title} />
        {insecure && <p class="notice bad">{words.login.insecure}</p>}
        <label for="token">{words.login.token}</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="current-password"
          autocapitalize="off"
          spellcheck={false}
          ref={field}
          aria-describedby="token-help token-error"
          aria-invalid={error ? "true" : undefined}
        />
        <p id="token-help" class="help">
          {words.login.tokenHelp}
        </p>
        <p id="token-error" class="field-error" role="alert">
          {error}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? words.login.busy : words.login.button}
        </button>
      </form>
    </main>
  );
}

function reason(refused: { status: number; message: string }): string {
  switch (refused.status) {
    case 0:
      return words.login.insecure;
    case 401:
      return words.login.refused;
    case 429:
      return words.login.tooMany;
    default:
      return refused.message || words.errors.unavailable;
  }
}
