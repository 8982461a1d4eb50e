// What abcjs plays: a JSON string of ABC a line on stdin, a JSON object a line on stdout.
// NODE_PATH names the folder that abcjs is installed in.
"use strict";
const readline = require("readline");

const answer = (object) => process.stdout.write(JSON.stringify(object) + "\n");
// abcjs writes remarks to the console, which is the answers' place.
for (const name of ["log", "info", "warn", "error"]) console[name] = () => {};
const abcjs = require("abcjs");

// The notes of a track. A note with grace notes is played late and for half its length; here it
// gets its time back.
function notes(track) {
  let graced = false; // Whether grace notes stand before the next note,
  let element = null; // and which element, by its place in the text, they stand before.
  const found = [];
  for (const event of track) {
    if (event.cmd !== "note") continue;
    if (event.style === "grace") {
      graced = true;
      continue;
    }
    if (graced) element = event.startChar;
    else if (event.startChar !== element) element = null;
    graced = false;
    const late = element === null ? 0 : event.duration;
    found.push([event.pitch, String(event.start - late), String(event.duration + late)]);
  }
  return found;
}

function read(abc) {
  const [tune] = abcjs.parseOnly(abc);
  const { tracks } = tune.setUpAudio({ chordsOff: true, qpm: 120 });
  return { voices: tracks.map(notes) };
}

answer({ version: abcjs.signature });
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const start = process.hrtime.bigint();
  let result;
  try {
    result = read(JSON.parse(line));
  } catch (error) {
    result = { error: String(error) };
  }
  answer({ ...result, seconds: Number(process.hrtime.bigint() - start) / 1e9 });
});
