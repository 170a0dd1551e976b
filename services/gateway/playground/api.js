// Talking to this server: the key, ids, errors as `Problem`s. Knows no task and no element of the page.

/** What went wrong, in the server's words; `param` names the field at fault, if one is. */
export class Problem extends Error {
  constructor(message, { param = null, code = null, status = null, retryAfterS = null } = {}) {
    super(message);
    Object.assign(this, { param, code, status, retryAfterS });
  }
}

export class Api {
  /** `key` is a function: what it returns is sent as it is at that moment, and kept nowhere here. */
  constructor(base, key) {
    this.base = base;
    this.key = key;
  }

  /** The decoded JSON behind a path. Throws Problem. */
  async json(path) {
    const response = await this.#fetch(path, { headers: this.#headers() });
    return response.json();
  }

  /** The open response to a sendable request (`plan.js`), under an id of ours. Throws Problem, or AbortError. */
  async send({ path, headers, body }, id, signal) {
    const all = { ...this.#headers(), ...headers, "x-request-id": id };
    return this.#fetch(path, { method: "POST", headers: all, body, signal });
  }

  /** Stop a request by the id that it was sent with; whether it was running. */
  async cancel(id) {
    try {
      await this.#fetch(`v1/requests/${encodeURIComponent(id)}`, { method: "DELETE", headers: this.#headers() });
      return true;
    } catch (error) {
      if (error instanceof Problem) return false;
      throw error;
    }
  }

  #headers() {
    const key = this.key();
    return key ? { authorization: `Bearer ${key}` } : {};
  }

  async #fetch(path, options) {
    let response;
    try {
      response = await fetch(new URL(path, this.base), { ...options, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("the server cannot be reached", { code: "unreachable" });
    }
    if (!response.ok) throw await refused(response);
    return response;
  }
}

/** An error's body as a Problem; also of an `error` event inside a stream, which has no status. */
export function problemOf(body, { status = null, retryAfterS = null } = {}) {
  const { message, param = null, code = null } = body?.error ?? {};
  return new Problem(message ?? `the server answered with status ${status}`, { param, code, status, retryAfterS });
}

async function refused(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Whatever stands between may answer with anything.
  }
  const retryAfterS = Number(response.headers.get("retry-after")) || null;
  return problemOf(body, { status: response.status, retryAfterS });
}
