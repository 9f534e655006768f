import { Dialog } from "../parts/dialog";
import { keys } from "../preferences";
import { dialog } from "../shell";
import { words } from "../words";

// The list of keys, and whether single keys act.
export default function Keys() {
  return (
    <Dialog label={words.keys.title} close={() => (dialog.value = undefined)} class="keys">
      <h2>{words.keys.title}</h2>
      <dl>
        {words.keys.list.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(" ").map((part) => (
                <kbd key={part}>{part}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="switch">
        <input type="checkbox" checked={keys.value === "on"} onChange={(event) => (keys.value = event.currentTarget.checked ? "on" : "off")} />
        {words.keys.single}
      </label>
      <p class="meta">{words.keys.singleHelp}</p>
      <form method="dialog">
        <button type="submit">{words.action.close}</button>
      </form>
    </Dialog>
  );
}
