// The live stream: one socket, a view that is folded as frames come, and a painter that is told when it may paint.
// Frames are folded at once and never queued, so a page that cannot paint (hidden, paused) holds one view and no more.

import { fold } from "./fold.js";

const RETRY_MS = [300, 600, 1200, 2500, 5000];
export const LATE_MS = 1500;

export class Live {
  /** onChange: called after a frame, at most once per animation frame. */
  constructor(onChange) {
    this.onChange = onChange;
    this.view = null;
    this.frame = 0;
    this.aside = null; // of the account that is watched
    this.heardAt = 0;
    this.state = "wait"; // wait, live, down
    this.stats = { frames: 0, snapshots: 0, drops: 0, painted: 0, opened: 0 };
    this.watched = null;
    this.tries = 0;
    this.due = false;
    this.paused = false;
    document.addEventListener("visibilitychange", () => this.seen());
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    this.socket = socket;
    socket.onopen = () => {
      this.tries = 0;
      this.stats.opened += 1;
      if (document.hidden) this.say({ hidden: true });
      if (this.watched !== null) this.say({ watch: this.watched });
    };
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.state = "down";
      this.changed();
      const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
      this.tries += 1;
      setTimeout(() => this.open(), wait);
    };
  }

  hear(message) {
    this.heardAt = performance.now();
    if (message.t === "w") {
      this.aside = message;
    } else if (message.t === "snap") {
      this.view = message.view;
      this.frame = message.f;
      this.state = "live";
      this.stats.snapshots += 1;
    } else if (this.view !== null && message.f === this.frame + 1) {
      this.view = fold(this.view, message);
      this.frame = message.f;
      this.state = "live";
      this.stats.frames += 1;
    } else {
      this.stats.drops += 1; // a hole: what is held may be wrong from here on
      this.view = null;
      this.say({ resync: true });
    }
    this.changed();
  }

  say(message) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  watch(account) {
    this.watched = account;
    this.aside = null;
    this.say({ watch: account });
  }

  seen() {
    this.say({ hidden: document.hidden });
    if (!document.hidden) this.changed();
  }

  /** Milliseconds since anything was heard. */
  get silence() {
    return this.heardAt ? performance.now() - this.heardAt : Infinity;
  }

  changed() {
    if (this.due || document.hidden) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.stats.painted += 1;
      this.onChange();
    });
  }
}
