// Who is signed in, where the service asks for it.

import { form } from "./dialog.js";
import { announce, clear, h, say, tell } from "./dom.js";
import { exactly } from "./format.js";
import { again, state, touch } from "./store.js";
import { exchange } from "./wire.js";

const OPEN = { required: false, signedIn: false, name: null, scopes: [] };

export async function readSession() {
  const { status, value } = await exchange("GET", "/session");
  // An instance of an earlier release knows no sessions: then nobody needs one.
  if (status === 200) state.session = value;
  else if (status === 404 || state.session === null) state.session = { ...OPEN };
  touch("session");
}

async function signIn(token, dialog, said, button) {
  button.disabled = true;
  const { status, value } = await exchange("POST", "/session", { token });
  button.disabled = false;
  if (status === 200) {
    state.session = value;
    dialog.close();
    tell(`Signed in as ${value.name ?? "somebody without a name"}.`);
    touch("session");
    again();
    return;
  }
  const why = status === 401
    ? "This token is not valid, or has expired."
    : (value?.detail ?? "No instance answered. Try again.");
  say(said, why);
  announce(why);
}

export function openSignIn() {
  form("Sign in", (dialog) => {
    const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
    const said = h("p", { class: "said", id: "token-said", role: "alert" });
    const button = h("button", { type: "submit", class: "main" }, "Sign in");
    token.setAttribute("aria-describedby", "token-said");
    return h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        if (token.value.trim()) signIn(token.value.trim(), dialog, said, button);
      },
    },
    h("h2", null, "Sign in"),
    h("p", { class: "muted" }, "With a token of this cluster. It stays in a cookie that no script can read."),
    h("label", { for: "token" }, "Token"), token, said,
    h("footer", null, h("button", { type: "button", onclick: () => dialog.close() }, "Not now"), button));
  });
}

async function signOut() {
  const { status } = await exchange("DELETE", "/session");
  if (status && status < 400) {
    await readSession();
    tell("Signed out.");
    again();
  } else tell("The sign-out was not answered. Try again.", true);
}

/** The corner of the header that says who is here. */
export function drawSession(place) {
  const session = state.session;
  clear(place);
  if (!session || (!session.required && !session.signedIn)) return;
  if (!session.signedIn) {
    place.append(h("button", { type: "button", class: "main", onclick: openSignIn }, "Sign in"));
    return;
  }
  const until = session.expiresAt ? `until ${exactly(session.expiresAt)}` : "";
  const rights = session.scopes?.length ? `Rights: ${session.scopes.join(", ")}` : "No rights";
  place.append(
    h("span", { class: "muted", title: [rights, until].filter(Boolean).join("; ") }, session.name ?? "Signed in"), " ",
    h("button", { type: "button", class: "quiet", onclick: signOut }, "Sign out"),
  );
}
