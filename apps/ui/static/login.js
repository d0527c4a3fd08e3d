import { notice } from "./picture.js";

const form = document.getElementById("form");
const button = form.querySelector("button");
const provider = document.getElementById("openid");

// Where to go after the login: a page of this site, whatever the address says.
function next() {
  try {
    const wanted = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
    // With its host: a path that begins with two slashes would name another one.
    return wanted.origin === location.origin ? wanted.origin + wanted.pathname + wanted.search : "/";
  } catch {
    return "/";
  }
}

// Sends a login, and calls `right` with the answer; whatever else comes is shown.
async function send(path, content, right) {
  button.disabled = provider.disabled = true;
  notice("");
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(content),
    });
    const body = await response.json().catch(() => ({}));
    if (response.ok) return right(body);
    notice(body.error ?? `answer ${response.status}`, true);
  } catch (error) {
    notice(`The server does not answer (${error.message}).`, true);
  }
  button.disabled = provider.disabled = false;
}

async function logIn(event) {
  event.preventDefault();
  await send("/api/login", Object.fromEntries(new FormData(form)), () => location.replace(next()));
  form.elements.password.select();
}

// A link on a page of another site comes without the cookie, although its reader is logged in.
async function goOnIfLoggedIn() {
  const response = await fetch("/api/session").catch(() => null);
  if (!response?.ok) return;
  const { name, openid } = await response.json();
  if (name) return location.replace(next());
  if (!openid) return;
  provider.textContent = `Log in with ${openid.label}`;
  provider.hidden = false;
  if (openid.problem) notice(openid.problem, true);
}

// The provider leads back to this page, with a session or with the reason why there is none.
provider.addEventListener("click", () =>
  send("/api/login/openid", { next: next().slice(location.origin.length) || "/" }, ({ url }) => location.assign(url)),
);
// Whoever comes back from the provider by the browser's button finds the page as it was left.
addEventListener("pageshow", () => (button.disabled = provider.disabled = false));
form.addEventListener("submit", logIn);
goOnIfLoggedIn();
