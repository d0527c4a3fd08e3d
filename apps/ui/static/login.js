import { notice } from "./picture.js";

const form = document.getElementById("form");
const button = form.querySelector("button");

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

async function logIn(event) {
  event.preventDefault();
  button.disabled = true;
  notice("");
  try {
    const response = await fetch("/api/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    if (response.ok) return location.replace(next());
    const body = await response.json().catch(() => ({}));
    notice(body.error ?? `answer ${response.status}`, true);
    form.elements.password.select();
  } catch (error) {
    notice(`The server does not answer (${error.message}).`, true);
  }
  button.disabled = false;
}

// A link on a page of another site comes without the cookie, although its reader is logged in.
async function goOnIfLoggedIn() {
  const response = await fetch("/api/session").catch(() => null);
  if (response?.ok && (await response.json()).name) location.replace(next());
}

form.addEventListener("submit", logIn);
goOnIfLoggedIn();
