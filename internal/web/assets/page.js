// SPDX-License-Identifier: Apache-2.0

// The page is whole without this script. The script fetches the page again every
// few seconds and takes over what is marked data-live, and lets plots be read
// with the pointer or the arrow keys.
const pace = 5000; // milliseconds between two looks
const columns = 360, rows = 100; // of a plot, as in plot.go
let paused = false;
let reading = null; // the plot that is being read, and where: {svg, column}

// take copies what is live in the page that was fetched.
function take(fresh) {
	for (const now of document.querySelectorAll("[data-live]")) {
		const then = fresh.getElementById(now.id);
		if (!then || reading && (now === reading.svg || now.id === reading.svg.id + "-now")) continue;
		for (const a of then.attributes) {
			if (a.name.startsWith("data-") || a.name === "aria-label") now.setAttribute(a.name, a.value);
		}
		now.replaceChildren(...Array.from(then.childNodes, n => document.importNode(n, true)));
	}
}

async function look() {
	if (paused || document.hidden) return;
	try {
		const answer = await fetch("./", {signal: AbortSignal.timeout(pace)});
		if (!answer.ok) throw new Error(answer.status);
		take(new DOMParser().parseFromString(await answer.text(), "text/html"));
		trouble.textContent = "";
	} catch {
		trouble.textContent = "no answer, these values are old";
	}
}

// values are the points of a plot's line, by column.
function values(svg) {
	const found = new Map();
	const line = svg.querySelector(".line").getAttribute("d");
	for (const [, x, y] of line.matchAll(/[ML](\d+) (-?[\d.]+)/g)) found.set(+x, +y);
	return found;
}

// nearest is the column with a value that is nearest to a place.
function nearest(found, column) {
	let best = -1;
	for (const x of found.keys()) if (best < 0 || Math.abs(x - column) < Math.abs(best - column)) best = x;
	return best;
}

// read shows the value at a column and a line through it.
function read(svg, column) {
	const found = values(svg), x = nearest(found, column);
	if (x < 0) return;
	leave();
	reading = {svg, column: x};
	const low = +svg.dataset.low, high = +svg.dataset.high;
	const value = high - (high - low) * found.get(x) / rows;
	const at = new Date(+svg.dataset.start + +svg.dataset.length * (x + 0.5) / columns);
	const sign = svg.dataset.signed === "true" && value > 0 ? "+" : "";
	const text = sign + value.toFixed(+svg.dataset.digits).replace("-", "−") + " " + svg.dataset.unit;
	const time = at.toISOString().slice(11, 19);
	const cross = document.createElementNS("http://www.w3.org/2000/svg", "path");
	cross.setAttribute("class", "cross");
	cross.setAttribute("d", "M" + x + " 0V" + rows);
	svg.append(cross);
	svg.setAttribute("aria-valuenow", x);
	svg.setAttribute("aria-valuetext", time + " UTC: " + text);
	const shown = document.getElementById(svg.id + "-now");
	if (shown.dataset.current === undefined) shown.dataset.current = shown.textContent;
	shown.textContent = text + " at " + time;
}

// leave shows the newest value again.
function leave() {
	if (!reading) return;
	const {svg} = reading, shown = document.getElementById(svg.id + "-now");
	svg.querySelector(".cross")?.remove();
	shown.textContent = shown.dataset.current;
	delete shown.dataset.current;
	reading = null;
}

function keys(event) {
	const svg = event.currentTarget;
	const here = reading && reading.svg === svg ? reading.column : columns - 1;
	const found = values(svg), all = Array.from(found.keys()).sort((a, b) => a - b);
	if (!all.length) return;
	const i = all.indexOf(nearest(found, here));
	const to = {ArrowLeft: i - 1, ArrowDown: i - 1, ArrowRight: i + 1, ArrowUp: i + 1, PageUp: i + 30, PageDown: i - 30, Home: 0, End: all.length - 1}[event.key];
	if (to === undefined) {
		if (event.key === "Escape") leave();
		return;
	}
	event.preventDefault();
	read(svg, all[Math.min(all.length - 1, Math.max(0, to))]);
}

const trouble = document.createElement("span");
trouble.setAttribute("role", "status");
const button = document.createElement("button");
button.type = "button";
button.textContent = "Pause";
button.addEventListener("click", () => {
	paused = !paused;
	button.textContent = paused ? "Go on" : "Pause";
	look();
});
document.getElementById("live").append(trouble, button);

for (const svg of document.querySelectorAll("[data-plot]")) {
	// A slider is what can be moved through with the arrow keys and read out.
	svg.setAttribute("role", "slider");
	svg.setAttribute("tabindex", "0");
	svg.setAttribute("aria-valuemin", "0");
	svg.setAttribute("aria-valuemax", String(columns - 1));
	svg.setAttribute("aria-valuenow", String(columns - 1));
	svg.addEventListener("pointermove", e => {
		const box = svg.getBoundingClientRect();
		read(svg, (e.clientX - box.left) / box.width * columns);
	});
	svg.addEventListener("pointerleave", leave);
	svg.addEventListener("blur", leave);
	svg.addEventListener("keydown", keys);
}

setInterval(look, pace);
document.addEventListener("visibilitychange", look);
