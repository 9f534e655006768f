import { computed, signal } from "@preact/signals";

// The server's clock, by this computer's and the difference that the live updates told. One timer
// moves it, each second, while the page is visible.
export const now = signal(Date.now());

// The same in steps of 15 seconds, for times that are shown in minutes.
export const minutes = computed(() => Math.floor(now.value / 15_000) * 15_000);

let difference = 0;

// Records what the server's clock said.
export function serverTime(at: number): void {
  difference = at - Date.now();
  if (Math.abs(difference) < 500) difference = 0;
}

function tick(): void {
  if (document.visibilityState === "visible") now.value = Date.now() + difference;
}

// Starts the timer.
export function startClock(): void {
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}
