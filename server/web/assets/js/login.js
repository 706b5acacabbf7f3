// The login form.
import { login, session } from "./api.js";
import { Choices, Mark } from "./brand.js";
import { failureText } from "./failure.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { t } from "./i18n.js";

export function Login() {
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(session.value.failure ?? null);
  const userInput = useRef(null);
  const passwordInput = useRef(null);
  useEffect(() => userInput.current.focus(), []);

  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    try {
      await login(user, password);
    } catch (e) {
      setBusy(false);
      setFailure(e);
      setPassword("");
      passwordInput.current.focus();
    }
  };

  let alert = "";
  if (failure) alert = failure.status === 401 ? t("wrongPassword") : failureText(failure);
  return html`<main class="login">
    <form class="card" onSubmit=${submit} method="post">
      <h1 class="brand big"><${Mark} />tally</h1>
      <p class="tagline">${session.value.ended ? t("sessionEnded") : t("tagline")}</p>
      <label for="user">${t("user")}</label>
      <input id="user" name="user" ref=${userInput} value=${user} onInput=${(e) => setUser(e.target.value)}
        autocomplete="username" autocapitalize="none" spellcheck=${false} required />
      <label for="password">${t("password")}</label>
      <input id="password" name="password" type="password" ref=${passwordInput} value=${password}
        onInput=${(e) => setPassword(e.target.value)} autocomplete="current-password" required />
      ${alert && html`<p class="alert" role="alert">${alert}</p>`}
      <button type="submit" class="primary" disabled=${busy}>${busy ? t("loggingIn") : t("logIn")}</button>
    </form>
    <footer><${Choices} /></footer>
  </main>`;
}
