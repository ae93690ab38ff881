// Server-sent events from a fetch stream (WHATWG HTML §9.2): EventSource cannot send an Authorization header.

export interface ServerEvent {
  event: string;
  data: string;
}

/** Collects text and gives complete events; comments and unknown fields are passed over. */
export class EventParser {
  private rest = "";

  feed(text: string): ServerEvent[] {
    const all = this.rest + text;
    // A line's end may be cut in two: the first half waits for the second.
    const whole = all.endsWith("\r") ? all.slice(0, -1) : all;
    const blocks = whole.replace(/\r\n?/g, "\n").split("\n\n");
    this.rest = (blocks.pop() ?? "") + all.slice(whole.length);
    return blocks.map(parseBlock).filter((one) => one !== null);
  }
}

function parseBlock(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [field = "", value = ""] = split(line);
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  return data.length ? { event, data: data.join("\n") } : null;
}

function split(line: string): [string, string] {
  const colon = line.indexOf(":");
  return colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
}
