// Draws the pieces of the page and plays them. What strangers wrote is set as text, never as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const audio = new Audio();
  audio.preload = "none";
  let playing = null; // the player whose piece the audio element has

  // Elements

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  function drawn(name, attributes = {}) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function clock(seconds) {
    return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  }

  // What a judge says

  // What is found in each bar: its index to [number of the criterion, text].
  function foundIn(judged) {
    const found = new Map();
    if (judged) {
      judged.criteria.forEach(({ name, marks }, number) => {
        for (const [bar, text] of marks) {
          if (!found.has(bar)) found.set(bar, []);
          found.get(bar).push([number, `bar ${bar + 1}, ${name}: ${text}`]);
        }
      });
    }
    return found;
  }

  // Colours a bar: a stripe for each thing that is found in it.
  function coloured(found, x, y, width, height) {
    return found.map(([number, text], which) => {
      const high = height / found.length;
      const stripe = drawn("rect", { class: `judged j${number % 5}`, x, y: y + which * high, width, height: high });
      const title = drawn("title");
      title.textContent = text;
      stripe.append(title);
      return stripe;
    });
  }

  const LISTED = 6; // bars of a criterion: more are folded

  function verdict(judged, label) {
    const rows = judged.criteria.map(({ name, score, says, fails, marks }, number) => {
      const finding = element("td", {}, says);
      if (marks.length) {
        const list = element("ul", {}, ...marks.map(([bar, text]) => element("li", {}, `bar ${bar + 1}: ${text}`)));
        const bars = `${marks.length} ${marks.length === 1 ? "bar" : "bars"} marked`;
        finding.append(element("details", { open: marks.length <= LISTED }, element("summary", {}, bars), list));
      }
      const shown = score === null ? "–" : score.toFixed(1);
      const heading = element("th", { scope: "row" }, element("span", { class: `swatch j${number % 5}`, "aria-hidden": "true" }), name);
      return element("tr", fails ? { class: "fails" } : {}, heading, element("td", { class: "score-of" }, shown), finding);
    });
    const head = ["criterion", "score, 1 to 5", "finding"].map((text) => element("th", { scope: "col" }, text));
    const table = element("table", {}, element("caption", {}, `Verdict: ${judged.verdict}`), element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
    const place = element("div", { class: "verdict", role: "group", tabindex: "0", "aria-label": `Verdict on ${label}` }, table);
    if (judged.criteria.some(({ marks }) => marks.length)) {
      place.append(element("p", {}, "Bars are counted as they are written, an upbeat as the first."));
    }
    return place;
  }

  // The piano roll

  const PIXELS_A_SECOND = 36; // at least: a longer roll scrolls
  const BETWEEN_NUMBERS = 34; // pixels between the numbers of bars

  function pianoRoll(roll, label, seek, judged) {
    const pitched = roll.rows.length && !roll.rows.some(([name]) => name.length > 4);
    const names = element("div", { class: pitched ? "names pitches" : "names", "aria-hidden": "true" });
    names.style.height = `${roll.height}px`;
    for (const [name, top, height] of roll.rows) {
      if (!name) continue;
      const text = element("span", {}, name);
      text.style.top = `${top + height / 2}px`;
      names.append(text);
    }
    const svg = drawn("svg", {
      viewBox: `0 0 ${roll.seconds} ${roll.height}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Piano roll of ${label}: ${roll.text}`,
    });
    const width = Math.round(roll.seconds * PIXELS_A_SECOND);
    svg.style.height = `${roll.height + 2}px`;
    svg.style.minWidth = `${width}px`;
    for (const [, top, height, shaded] of roll.rows) {
      if (shaded) svg.append(drawn("rect", { class: "shade", y: top, height, width: roll.seconds }));
    }
    const found = foundIn(judged);
    for (const [bar, start, end] of judged ? judged.spans : []) {
      if (start >= roll.seconds) continue;
      svg.append(...coloured(found.get(bar), start, 0, Math.min(end, roll.seconds) - start, roll.height));
    }
    const lines = (places) => places.map((at) => `M${at} 0v${roll.height}`).join("");
    svg.append(drawn("path", { class: "beats", d: lines(roll.beats) }));
    svg.append(drawn("path", { class: "bars", d: lines(roll.bars) }));
    for (const [colour, loudness, marked, d] of roll.marks) {
      const opacity = 0.3 + (0.7 * (loudness + 1)) / 8;
      svg.append(drawn("path", { class: `k${colour}${marked ? " marked" : ""}`, "fill-opacity": opacity, d }));
    }
    const cursor = drawn("line", { class: "cursor", x1: 0, x2: 0, y1: 0, y2: roll.height });
    svg.append(cursor);
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * roll.seconds);
    });

    const numbers = element("div", { class: "numbers", "aria-hidden": "true" });
    numbers.style.minWidth = `${width}px`;
    const narrowest = roll.bars.length > 1 ? (roll.bars[1] - roll.bars[0]) * PIXELS_A_SECOND : BETWEEN_NUMBERS;
    const every = Math.max(1, Math.ceil(BETWEEN_NUMBERS / narrowest));
    roll.bars.forEach((at, bar) => {
      if (bar % every) return;
      const number = element("span", {}, String(bar + 1));
      number.style.left = `${(100 * at) / roll.seconds}%`;
      numbers.append(number);
    });
    // What scrolls has to be in reach of the keyboard.
    const scroller = element("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": `Piano roll of ${label}` });
    scroller.append(numbers, svg);
    const move = (seconds) => {
      const at = Math.min(seconds, roll.seconds);
      cursor.setAttribute("x1", at);
      cursor.setAttribute("x2", at);
      const x = (at / roll.seconds) * svg.clientWidth;
      const hidden = x < scroller.scrollLeft || x > scroller.scrollLeft + scroller.clientWidth;
      if (hidden && playing) scroller.scrollLeft = Math.max(0, x - scroller.clientWidth / 5);
    };
    return { element: element("div", { class: "roll" }, names, scroller), move };
  }

  // The score

  const ENGRAVED = 20000; // characters at most: a tune has a few hundred
  // Controls and right-to-left marks, which make a text read as another one.
  const OBEYED = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;
  // What abcjs would stand still at, some of it in a line of 60 characters: hundreds of ledger lines
  // or staff lines, chords of hundreds of notes, and hundreds of overlays.
  const DENSE = [
    /\boctave\s*=(?!\s*[-+]?[0-4]\b)/,
    /\bstafflines\s*=(?!\s*\d\b)/,
    /[',]{9}/,
    /\[[^\]|\n]{300}/,
    /(?:&[^&]*){200}/,
  ];

  function notEngraved(abc) {
    if (abc.length > ENGRAVED) return "The notation is too long to be shown as a score.";
    if (DENSE.some((shape) => shape.test(abc.replace(OBEYED, "")))) return "The notation is too dense to be shown as a score.";
    return "";
  }

  // The written bars of the first voice as the engraver drew them: each the parts that stand on a
  // line, with their notes and the bar lines before and after.
  function engravedBars(tune) {
    const bars = [];
    let bar = null;
    for (const line of tune.lines) {
      if (!line.staff) continue;
      let before = null;
      let part = null;
      for (const each of line.staff[0].voices[0]) {
        const shapes = (each.abselem && each.abselem.elemset) || [];
        if (each.el_type === "bar") {
          if (part) part.after = shapes[0];
          before = shapes[0] || before;
          bar = part = null;
        } else if (each.el_type === "note" && !(each.rest && each.rest.type === "spacer")) {
          if (!bar) bars.push((bar = []));
          if (!part) bar.push((part = { before, after: null, shapes: [] }));
          part.shapes.push(...shapes);
        }
      }
    }
    return bars;
  }

  const BESIDE = 6; // pixels of a mark above and below the staff, and beside notes without a bar line

  // Colours the bars in which something is found, where the engraver has the bars of the judge.
  function markBars(svg, tune, judged) {
    const bars = engravedBars(tune);
    if (!judged || bars.length !== judged.bars) return;
    const stripes = [];
    for (const [number, found] of foundIn(judged)) {
      for (const { before, after, shapes } of bars[number] || []) {
        const boxes = shapes.map((shape) => shape.getBBox());
        if (!boxes.length) continue;
        const lines = [before, after].filter(Boolean).map((line) => line.getBBox());
        const left = before ? lines[0].x + lines[0].width : Math.min(...boxes.map((box) => box.x)) - BESIDE;
        const right = after ? lines[lines.length - 1].x : Math.max(...boxes.map((box) => box.x + box.width)) + BESIDE;
        const all = lines.length ? lines : boxes;
        const top = Math.min(...all.map((box) => box.y)) - BESIDE;
        const bottom = Math.max(...all.map((box) => box.y + box.height)) + BESIDE;
        if (right > left) stripes.push(...coloured(found, left, top, right - left, bottom - top));
      }
    }
    svg.prepend(...stripes);
  }

  function score(abc, label, first, judged) {
    const place = element("div", { class: "score", role: "group", tabindex: "0", "aria-label": `Score of ${label}` });
    return {
      element: place,
      draw() {
        const options = {
          add_classes: true,
          foregroundColor: "currentColor",
          paddingleft: 0,
          paddingright: 0,
          responsive: "resize",
          staffwidth: Math.max(320, place.clientWidth),
          wrap: { preferredMeasuresPerLine: 4, minSpacing: 1.2, maxSpacing: 2.7 },
        };
        // The titles are the heading of the card.
        const [tune] = ABCJS.renderAbc(place, abc.replace(OBEYED, "").replace(/^T:.*$/gm, "%"), options);
        const svg = place.querySelector("svg");
        if (!svg || !tune) return () => {};
        svg.setAttribute("role", "img");
        svg.setAttribute("aria-label", `Score of ${label}`);
        markBars(svg, tune, judged);
        const events = tune.setTiming().filter((event) => event.type === "event" && event.left !== null);
        // An upbeat begins the score, and comes late in the first bar of the sound.
        const isNote = (event) => event.elements.flat().some((each) => each.classList.contains("abcjs-note"));
        const late = first * 1000 - (events.find(isNote) || { milliseconds: 0 }).milliseconds;
        const cursor = drawn("line", { class: "cursor", visibility: "hidden" });
        svg.append(cursor);
        return (seconds) => {
          const now = seconds * 1000 - late;
          let at = events.length - 1;
          while (at > 0 && events[at].milliseconds > now + 1) at--;
          const event = events[at];
          if (!event) return;
          const x = event.left - 2;
          for (const [name, value] of [["x1", x], ["x2", x], ["y1", event.top], ["y2", event.top + event.height]]) {
            cursor.setAttribute(name, value);
          }
          cursor.setAttribute("visibility", "visible");
        };
      },
    };
  }

  // A player: one button, a position, and the roll and the score of the piece that is chosen

  class Player {
    constructor(track, title) {
      this.track = track;
      this.label = track.label ? `${track.label}, ${title}` : title;
      this.chosen = 0;
      this.movers = [];
      this.button = element("button", { class: "play", type: "button", "aria-pressed": "false" }, "Play");
      this.position = element("input", { type: "range", min: "0", step: "0.01", value: "0", "aria-label": `Position in ${this.label}` });
      this.time = element("time");
      this.body = element("div");
      this.files = element("ul", { class: "files", "aria-label": `Files of ${this.label}` });
      this.element = element("section", { class: "track", "aria-label": this.label });
      if (track.label) this.element.append(element("h3", {}, track.label));
      this.element.append(element("div", { class: "player" }, this.button, this.position, this.time), this.body, this.files);
      this.button.addEventListener("click", () => (this.isPlaying() ? audio.pause() : this.play()));
      this.position.addEventListener("input", () => this.seek(Number(this.position.value)));
    }

    get piece() {
      return this.track.pieces[this.chosen];
    }

    get seconds() {
      return this.piece.roll ? this.piece.roll.seconds : 0;
    }

    isPlaying() {
      return playing === this && !audio.paused;
    }

    // Shows another piece; where this player plays, the sound goes on there at the same place.
    choose(index) {
      const sounding = this.isPlaying();
      const at = playing === this ? audio.currentTime : Number(this.position.value);
      if (playing === this) release();
      this.chosen = index;
      this.draw();
      this.show(Math.min(at, this.seconds));
      if (sounding) this.play();
    }

    draw() {
      const piece = this.piece;
      const movers = [];
      this.body.replaceChildren();
      this.files.replaceChildren();
      if (piece.roll) {
        const roll = pianoRoll(piece.roll, this.label, (seconds) => this.seek(seconds), piece.judged);
        this.body.append(roll.element);
        movers.push(roll.move);
        if (piece.roll.cut) this.body.append(element("p", { class: "problem" }, piece.roll.cut));
      }
      const why = notEngraved(piece.abc);
      if (why) this.body.append(element("p", { class: "problem" }, why));
      if (piece.abc && piece.roll && !why && window.ABCJS) {
        const engraved = score(piece.abc, this.label, piece.roll.first, piece.judged);
        this.body.append(engraved.element);
        try {
          movers.push(engraved.draw());
        } catch (error) {
          engraved.element.replaceChildren(element("p", { class: "problem" }, "The score cannot be engraved."));
        }
      }
      if (piece.judged) this.body.append(verdict(piece.judged, this.label));
      if (piece.problem) this.body.append(element("p", { class: "problem" }, piece.problem));
      if (!piece.sound) {
        this.body.append(element("p", { class: "problem" }, "There is no sound file (.mp3, .flac or .wav) of this name beside it."));
      }
      for (const [kind, url, name] of piece.downloads) {
        const href = url || URL.createObjectURL(new Blob([piece.abc], { type: "text/vnd.abc;charset=utf-8" }));
        // From disk, browsers show a file that they know rather than save it, and not in place of the page.
        const target = url.startsWith("./") ? "_blank" : false;
        const link = element("a", { href, target, download: name, "aria-label": `Download ${kind}: ${name}` }, `${kind} ↓`);
        this.files.append(element("li", {}, link));
      }
      this.movers = movers;
      this.button.disabled = !piece.sound;
      this.position.disabled = !piece.sound;
      this.position.max = String(this.seconds);
      this.show(0);
    }

    play() {
      if (playing !== this) {
        const at = Number(this.position.value);
        release();
        playing = this;
        audio.src = this.piece.sound;
        audio.currentTime = at >= this.seconds - 0.05 ? 0 : at;
        settle();
      }
      audio.play().catch(() => this.fail());
    }

    fail() {
      // What was paused before it could begin has not failed.
      if (!audio.error || playing !== this) return;
      release();
      this.time.textContent = "The sound cannot be played.";
    }

    seek(seconds) {
      if (this.button.disabled) return;
      if (playing === this) audio.currentTime = seconds;
      this.show(seconds);
    }

    show(seconds) {
      this.position.value = String(seconds);
      this.time.textContent = `${clock(Math.min(seconds, this.seconds))} / ${clock(Math.round(this.seconds))}`;
      this.position.setAttribute("aria-valuetext", this.time.textContent);
      for (const move of this.movers) move(seconds);
    }

    mark() {
      const on = this.isPlaying();
      this.button.setAttribute("aria-pressed", String(on));
      this.button.replaceChildren(on ? "Pause" : "Play");
      this.button.setAttribute("aria-label", `${on ? "Pause" : "Play"} ${this.label}`);
    }
  }

  // Takes the audio element from the player that has it.
  function release() {
    const before = playing;
    audio.pause();
    playing = null;
    if (before) before.mark();
  }

  // A new source takes the usual tempo until it is told.
  function settle() {
    audio.volume = Number(byId("volume").value);
    audio.defaultPlaybackRate = audio.playbackRate = Number(byId("tempo").value);
    audio.loop = byId("loop").checked;
  }

  function follow() {
    if (!playing) return;
    playing.show(audio.currentTime);
    if (!audio.paused) requestAnimationFrame(follow);
  }

  audio.addEventListener("play", () => {
    if (playing) playing.mark();
    requestAnimationFrame(follow);
  });
  audio.addEventListener("pause", () => playing && playing.mark());
  audio.addEventListener("error", () => playing && playing.fail());
  audio.addEventListener("ended", () => {
    const ended = playing;
    release();
    if (ended) ended.show(0);
  });
  for (const id of ["volume", "tempo", "loop"]) {
    byId(id).addEventListener("input", () => {
      byId("tempo-shown").textContent = `${Math.round(100 * Number(byId("tempo").value))}%`;
      settle();
    });
  }

  // Cards: a heading at once, and the rest when it is scrolled to

  function sliders(card, players) {
    const chosen = card.axes.map(() => 0);
    return card.axes.map((axis, which) => {
      const input = element("input", { type: "range", min: "0", max: String(axis.stops.length - 1), step: "1", value: "0" });
      const shown = element("output", {}, axis.stops[0]);
      input.setAttribute("aria-valuetext", axis.stops[0]);
      input.addEventListener("input", () => {
        chosen[which] = Number(input.value);
        shown.textContent = axis.stops[chosen[which]];
        input.setAttribute("aria-valuetext", shown.textContent);
        const index = chosen.reduce((sum, at, each) => sum * card.axes[each].stops.length + at, 0);
        for (const player of players) if (player.track.pieces.length > 1) player.choose(index);
      });
      return element("label", { class: "axis" }, element("span", {}, axis.label), input, shown);
    });
  }

  function fill(article) {
    const card = article.card;
    const players = card.tracks.map((track) => new Player(track, card.title));
    const facts = element("dl", { class: "facts" });
    for (const [name, value] of card.facts) {
      facts.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
    }
    if (card.facts.length) article.append(facts);
    article.append(...sliders(card, players));
    const tracks = element("div", { class: players.length > 1 ? "tracks pair" : "tracks" });
    tracks.append(...players.map((player) => player.element));
    article.append(tracks);
    if (card.compared) {
      article.append(element("p", { class: "legend" }, "Framed notes have no counterpart in the other piece, at the same step of the grid."));
    }
    article.style.minHeight = "";
    for (const player of players) {
      player.draw();
      player.mark();
    }
  }

  function guessedHeight(card) {
    const heights = card.tracks.map(({ pieces: [piece] }) => (piece.roll ? piece.roll.height : 0) + (piece.abc ? 180 : 0) + 140);
    return Math.max(...heights);
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        fill(target);
      }
    },
    { rootMargin: "800px 0px" }
  );
  const articles = data.cards.map((card, number) => {
    const heading = element("h2", { id: `card${number}` }, card.title);
    const article = element("article", { "aria-labelledby": `card${number}` }, heading);
    article.card = card;
    article.words = [card.title, ...card.facts.flat(), ...card.tracks.flatMap((track) => track.pieces.map((piece) => piece.name))].join("\n").toLowerCase();
    article.style.minHeight = `${guessedHeight(card)}px`;
    return article;
  });
  byId("pieces").append(...articles);
  for (const article of articles) near.observe(article);

  function count(shown) {
    const of = shown === articles.length ? "" : ` of ${articles.length}`;
    byId("count").textContent = `${shown}${of} ${articles.length === 1 ? "piece" : "pieces"}`;
  }
  byId("find").addEventListener("input", () => {
    const wanted = byId("find").value.trim().toLowerCase();
    for (const article of articles) article.hidden = !article.words.includes(wanted);
    count(articles.filter((article) => !article.hidden).length);
  });
  count(articles.length);
})();
