import { render } from "preact";
import { App } from "./app";
import { startClock } from "./clock";
import { startRouter } from "./router";
import "./styles/index.css";

startRouter();
startClock();
const root = document.getElementById("app");
if (root) render(<App />, root);
