import { render } from "preact";
import { App } from "./app";
import { startClock } from "./clock";
import { path, startRouter } from "./router";
import { match } from "./routes";
import { followSession } from "./session";
import { views } from "./views";
import "./styles/index.css";

startRouter();
startClock();
followSession();
// The page is loaded while the server says who is logged in. If that fails, its place tries again.
match(views, path.peek())?.route.view().catch(() => undefined);
const root = document.getElementById("app");
if (root) render(<App />, root);
