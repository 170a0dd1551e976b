// Server-sent events from the body of a fetch: `EventSource` can neither post nor send a key.

/**
 * The events of a stream in order, each `{name, data}`, or `{comment}` for a comment. Lines end in LF, as this server
 * writes them. A block without its blank line at the end of the stream is a connection that broke, and dropped.
 */
export async function* eventsOf(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // Pictures are lines of megabytes: only what is new, and the character before it, is searched.
      let from = Math.max(0, rest.length - 1);
      rest += decoder.decode(value, { stream: true });
      for (let end = rest.indexOf("\n\n", from); end >= 0; end = rest.indexOf("\n\n")) {
        yield parsed(rest.slice(0, end));
        rest = rest.slice(end + 2);
        from = 0;
      }
    }
  } finally {
    reader.releaseLock();
  }
}

function parsed(block) {
  let name = "message";
  const data = [];
  const comments = [];
  for (const line of block.split("\n")) {
    if (line.startsWith(":")) comments.push(line.slice(1).trimStart());
    else if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return data.length > 0 ? { name, data: data.join("\n") } : { comment: comments.join("\n") };
}
