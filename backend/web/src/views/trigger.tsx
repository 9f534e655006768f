import { useState } from "preact/hooks";
import { client, explainError } from "../api";
import { useAsk } from "../ask";
import { TriggerService, type DeclaredTrigger, type ExplainTriggerResponse } from "../gen/headrace/v1/trigger_pb";
import type { Params } from "../lazy";
import { lastSegment, visible } from "../names";
import { Pairs } from "../execution/detail";
import { DecisionTable } from "../parts/decisions";
import { Link } from "../parts/link";
import { Facts, Failure, Heading, Line, Loading } from "../parts/page";
import { Shape } from "../parts/status";
import { Time } from "../parts/time";
import { pullRequestText, pushText, sourceText } from "../triggers";
import { words } from "../words";
import { DecisionList } from "./decisions";

// One trigger: what it listens to, why a commit did or did not start something, its decisions.
export default function Trigger({ params }: { params: Params }) {
  const name = params.pipeline ? `accounts/${params.account}/pipelines/${params.pipeline}/triggers/${params.trigger}` : `accounts/${params.account}/triggers/${params.trigger}`;
  const asked = useAsk((signal) => client(TriggerService).getTrigger({ name }, { signal }), name);
  const trigger = asked.value?.trigger;
  return (
    <>
      <Heading title={params.trigger ?? ""} kicker={<Link to={`/accounts/${params.account}/triggers`}>{words.triggers.title}</Link>} />
      {asked.error !== undefined ? <Failure error={asked.error} reload={asked.reload} /> : trigger ? <Known of={trigger} /> : <Loading />}
      {trigger && <DecisionList parent={name} pipelines={false} />}
    </>
  );
}

function Known({ of }: { of: DeclaredTrigger }) {
  const git = of.source.case === "git" ? of.source.value : undefined;
  const filters = git ? [...git.push.map(pushText), ...git.pullRequest.map(pullRequestText)] : [];
  return (
    <>
      {of.description && <p class="summary">{visible(of.description)}</p>}
      {of.pause && (
        <p class="notice warn">
          {words.triggers.pausedBy} <Line text={of.pause.principal} limit={80} />, <Time at={of.pause.pauseTime} />
          {of.pause.reason && (
            <>
              : <q>{visible(of.pause.reason)}</q>
            </>
          )}
        </p>
      )}
      {of.warnings.map((warning, i) => (
        <p key={i} class="notice warn">
          {visible(warning.message)}
        </p>
      ))}
      <Facts
        of={[
          [
            words.triggers.pipeline,
            <Link key="pipeline" to={`/${of.pipeline}`}>
              <Line text={lastSegment(of.pipeline)} limit={100} />
            </Link>,
          ],
          [words.triggers.source, visible(git ? git.repository || git.sourceAction : sourceText(of))],
          [words.triggers.connection, git?.connection && lastSegment(git.connection)],
          [
            words.triggers.filters,
            git && (
              <ul key="filters">
                {filters.length === 0 ? <li>{words.triggers.anyPush}</li> : filters.map((text) => <li key={text}>{visible(text)}</li>)}
              </ul>
            ),
          ],
        ]}
      />
      <Pairs title={words.triggers.variables} of={of.variables} />
      <Explain pipeline={of.pipeline} />
      <h2 class="section-head">{words.triggers.decisions}</h2>
    </>
  );
}

// Asks what became of a commit or a ref.
function Explain({ pipeline }: { pipeline: string }) {
  const [text, setText] = useState("");
  const [answer, setAnswer] = useState<ExplainTriggerResponse>();
  const [failure, setFailure] = useState<string>();
  const ask = async (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = text.trim();
    if (!wanted) return;
    try {
      setAnswer(await client(TriggerService).explainTrigger({ pipeline, ...(/^[0-9a-f]{7,64}$/.test(wanted) ? { commit: wanted } : { ref: wanted }) }));
      setFailure(undefined);
    } catch (error) {
      setAnswer(undefined);
      setFailure(explainError(error));
    }
  };
  return (
    <section class="explain-trigger">
      <form class="filters" onSubmit={(event) => void ask(event)}>
        <label>
          {words.triggers.explain}
          <input type="search" value={text} placeholder={words.triggers.explainHelp} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit">{words.triggers.explainButton}</button>
      </form>
      <div role="status">
        {failure && <p class="notice bad">{failure}</p>}
        {answer && (
          <div class="notice">
            <strong>{visible(answer.summary)}</strong>
            <ul>
              {answer.steps.map((step, i) => (
                <li key={i} class="step">
                  <Shape of={step.ok ? "succeeded" : "failed"} label={step.ok ? words.triggers.ok : words.triggers.notOk} /> <span>{visible(step.message)}</span>
                  {step.nextStep && <span class="meta"> {visible(step.nextStep)}</span>}
                </li>
              ))}
            </ul>
          </div>
        )}
      </div>
      {answer && answer.decisions.length > 0 && <DecisionTable of={answer.decisions} pipelines={false} />}
    </section>
  );
}
