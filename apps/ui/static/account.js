// Who is logged in, and what happens when nobody is any more.

import { element } from "./picture.js";

function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  // The page is about to go; whatever waits for an answer must not go on with it.
  return new Promise(() => {});
}

// The JSON of an answer. Where the session is over, the login is shown instead.
export async function get(url, options = {}) {
  const response = await fetch(url, options);
  if (response.status === 401) return toLogin();
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error ?? `answer ${response.status}`);
  return body;
}

async function logOut() {
  const { url } = await get("/api/logout", { method: "POST" });
  location.assign(url ?? "/login");
}

// Shows who is logged in, with a way out, in the page's bar.
export async function showAccount() {
  const me = await get("/api/me");
  const name = element("span", "who", me.name);
  name.title = me.role;
  const out = element("button", "quiet", "Log out");
  out.type = "button";
  out.addEventListener("click", logOut);
  document.getElementById("account").replaceChildren(name, out);
}
